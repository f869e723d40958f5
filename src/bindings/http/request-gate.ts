import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { MeshError } from '../../runtime/errors.js';
import {
  type Body,
  BodyQueue,
  EMPTY_BODY,
  iterateBody,
  type NativeBody,
  type PushBody,
} from '../../service/body.js';
import { transformBody } from '../../service/transform-body.js';
import { countBytes, inherited } from './count-bytes.js';

/** Takes note of a chunk of a message's body. */
export type CountBytes = (message: Readable, chunk: Uint8Array) => void;

/** Bytes that may wait while filters decide, before the socket is asked to pause. */
const WAITING_BYTES = 64 * 1024;

/**
 * Holds the body of a request back until its filters let it through, because what a Readable was given once it gives to
 * the application. A filter may read the body (`iterate`) and put another in its place.
 */
export class GatedBody implements NativeBody {
  readonly kind = 'native';
  readonly value: Readable;
  /** The way into the message; counts the bytes. */
  readonly #enter: Readable['push'];
  /** Counts what does not go that way. */
  readonly #count: CountBytes;
  /** Asks a caller that waits with its body (`Expect: 100-continue`) to send it. */
  readonly #ask: (() => void) | undefined;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isComplete = false;
  /** Whether another body was given to the message, all of it. */
  #isFed = false;
  /** Set when a filter reads the body. */
  #taken: BodyQueue | undefined;

  constructor(message: Readable, ask?: () => void, count: CountBytes = countBytes) {
    this.value = message;
    this.#count = count;
    this.#ask = ask;
    this.#enter = message.push;
    message.push = (chunk: unknown) => this.#arrive(chunk);
  }

  get length(): number | undefined {
    return isMessage(this.value) ? declaredLength(this.value) : undefined;
  }

  iterate(): AsyncIterable<Uint8Array> {
    return iterateBody(this.#take());
  }

  /** Lets the message go to the application, with the body that it has now. */
  open(body: Body): void {
    if (body !== this) this.#feed(body);
    else if (this.#taken === undefined) this.#release();
    else throw used('a filter read the body of the request and put none in its place');
  }

  /** The application will not see the message: what is left of it passes by. */
  refuse(): void {
    if (this.#taken === undefined) this.#release();
    else {
      this.#feed(EMPTY_BODY);
      this.value.resume();
    }
  }

  #arrive(chunk: unknown): boolean {
    if (!(chunk instanceof Uint8Array)) {
      this.#isComplete = true;
      this.#taken?.end();
      this.#endIfDone();
      return false;
    }
    if (this.#taken !== undefined) {
      this.#count(this.value, chunk);
      return this.#taken.push(chunk);
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    return this.#bytes < WAITING_BYTES;
  }

  #take(): BodyQueue {
    if (this.#taken !== undefined) throw used('this body was read already');
    this.#ask?.();
    const message = this.value;
    const queue = new BodyQueue({ resume: () => readOn(message), cancel: () => readOn(message) });
    this.#taken = queue;
    for (const chunk of this.#chunks.splice(0)) {
      this.#count(message, chunk);
      queue.push(chunk);
    }
    if (this.#isComplete) queue.end();
    else message.once('close', () => queue.fail(gone()));
    return queue;
  }

  #release(): void {
    const message = this.value;
    message.push = this.#enter;
    for (const chunk of this.#chunks.splice(0)) message.push(chunk);
    if (this.#isComplete) message.push(null);
  }

  /** Gives the message another body. */
  #feed(body: Body): void {
    const message = this.value;
    switch (body.kind) {
      case 'empty':
        this.#fed();
        return;
      case 'bytes':
        enter(message, typeof body.bytes === 'string' ? Buffer.from(body.bytes) : body.bytes);
        this.#fed();
        return;
      case 'push':
        this.#pump(body);
        return;
      case 'native':
        // As it is, but in the form that is pushed.
        this.#pump(transformBody(body, (chunks) => chunks));
    }
  }

  #pump(body: PushBody): void {
    const message = this.value;
    const control = body.attach({
      data: (chunk) => enter(message, chunk),
      end: () => this.#fed(),
      error: (cause) => void message.destroy(cause instanceof Error ? cause : undefined),
    });
    message._read = () => control.resume();
    message.once('close', () => control.cancel(gone()));
  }

  #fed(): void {
    const message = this.value;
    this.#isFed = true;
    if (this.#taken === undefined) {
      // What is left of the body as it came is of no use to anybody.
      this.#chunks.length = 0;
      message.push = (chunk: unknown) => chunk instanceof Uint8Array || this.#arrive(null);
      readOn(message);
    }
    this.#endIfDone();
  }

  /** Node takes a message that ends before it is complete for one that broke off, and cuts the connection. */
  #endIfDone(): void {
    if (this.#isFed && this.#isComplete) enter(this.value, null);
  }
}

/** A message of Node's HTTP/1.1 says how long it is; a stream of HTTP/2 has no such fields. */
function isMessage(value: Readable): value is IncomingMessage {
  return 'rawHeaders' in value;
}

/** Past the gate, into the Readable. */
function enter(message: Readable, chunk: Uint8Array | null): boolean {
  return inherited(message).push.call(message, chunk);
}

/** Lets the socket go on. */
function readOn(message: Readable): void {
  inherited(message)._read.call(message, 0);
}

/** Bytes of the body, when the caller said how many. */
export function declaredLength({ headers }: IncomingMessage): number | undefined {
  const text = headers['content-length'];
  if (text !== undefined) return Number(text);
  return headers['transfer-encoding'] === undefined ? 0 : undefined;
}

function used(what: string): MeshError {
  return new MeshError('INMESH_BODY_USED', what);
}

function gone(): MeshError {
  return new MeshError('INMESH_ABORTED', 'the caller closed the connection before the request was complete');
}
