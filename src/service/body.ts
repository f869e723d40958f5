import { MeshError } from '../runtime/errors.js';
import type { HeaderMap } from './headers.js';

/** Receives a body. Every method is called by the source, `end` or `error` exactly once and last. */
export interface BodySink {
  /** Takes a chunk; false asks the source to pause until `resume`. */
  data(chunk: Uint8Array): boolean;
  end(trailers: HeaderMap | undefined): void;
  error(cause: unknown): void;
}

/** What a sink may do to its source. */
export interface BodyControl {
  resume(): void;
  /** Gives the rest up: the source frees what it holds (resets the stream) and calls `error`. */
  cancel(reason: unknown): void;
}

/** No body at all. */
export interface EmptyBody {
  readonly kind: 'empty';
}

/** A body that is in memory and can be sent any number of times. */
export interface BytesBody {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array | string;
}

/** A body that arrives; it may be attached once. */
export interface PushBody {
  readonly kind: 'push';
  readonly used: boolean;
  /** Set when it is known that no trailers come with its end: HTTP/2 then needs no frame more for them. */
  readonly withoutTrailers?: boolean;
  attach(sink: BodySink): BodyControl;
}

/**
 * A body that is an object of the calling library (a Readable, an async iterable, FormData). A transport of the
 * same library takes it as it is; anybody else uses `iterate`. It may be consumed once.
 */
export interface NativeBody {
  readonly kind: 'native';
  readonly value: unknown;
  /** Bytes, when the caller said how many. */
  readonly length: number | undefined;
  iterate(): AsyncIterable<Uint8Array>;
}

/** The body of a request or a response, in one of the forms that travel without conversion. */
export type Body = EmptyBody | BytesBody | PushBody | NativeBody;

export const EMPTY_BODY: EmptyBody = { kind: 'empty' };

/** A body of the given text or bytes. */
export function bytesBody(bytes: Uint8Array | string): Body {
  return bytes.length === 0 ? EMPTY_BODY : { kind: 'bytes', bytes };
}

/** Whether the body can be sent again after an attempt failed. */
export function isReplayable(body: Body): boolean {
  return body.kind === 'empty' || body.kind === 'bytes';
}

const TURN = Promise.resolve();

/** Chunks that may wait in a queue before the producer is asked to pause. */
const QUEUE_BYTES = 64 * 1024;

/**
 * Connects a producer that pushes (a parser's callbacks) with a sink that comes later. Chunks that arrive before
 * the sink wait in a short queue, so a small response never pauses its socket.
 */
export class BodyQueue implements PushBody {
  readonly kind = 'push';
  readonly #producer: BodyControl;
  #sink: BodySink | undefined;
  #queue: Uint8Array[] | undefined;
  #queuedBytes = 0;
  #paused = false;
  /** Whether the producer was told to stop. */
  #stopped = false;
  #draining = false;
  #used = false;
  #settled: { readonly trailers: HeaderMap | undefined } | { readonly error: unknown } | undefined;
  #done = false;

  constructor(producer: BodyControl) {
    this.#producer = producer;
  }

  get used(): boolean {
    return this.#used;
  }

  /** Producer: a chunk came. False means: stop until `resume` is called on the producer. */
  push(chunk: Uint8Array): boolean {
    // undici's parser gives an empty chunk when it goes on: a reader that paused at it would turn round for ever.
    if (this.#done || chunk.byteLength === 0) return true;
    if (this.#sink !== undefined && !this.#paused && !this.#draining) {
      if (this.#sink.data(chunk)) return true;
      this.#paused = true;
      this.#stopped = true;
      return false;
    }
    this.#queue ??= [];
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.byteLength;
    if (this.#queuedBytes < QUEUE_BYTES && !this.#paused) return true;
    this.#stopped = true;
    return false;
  }

  /** Producer: the body is complete. */
  end(trailers?: HeaderMap): void {
    this.#settled ??= { trailers };
    this.#drain();
  }

  /** Producer: the body broke off. */
  fail(error: unknown): void {
    this.#settled ??= { error };
    this.#drain();
  }

  attach(sink: BodySink): BodyControl {
    if (this.#used) throw new MeshError('INMESH_BODY_USED', 'this body was read already');
    this.#used = true;
    this.#sink = sink;
    const control: BodyControl = {
      resume: () => this.#resume(),
      cancel: (reason) => this.#cancel(reason),
    };
    // The caller gets its control before the first call, as it may need it inside `data`.
    if (this.#queue !== undefined || this.#settled !== undefined) {
      this.#draining = true;
      // Not queueMicrotask: Node makes an async resource for each.
      void TURN.then(() => {
        this.#draining = false;
        this.#resume();
      });
    }
    return control;
  }

  #resume(): void {
    if (this.#done || this.#draining) return;
    this.#paused = false;
    this.#drain();
    // A sink may pause again while it is drained.
    if (!this.#stopped || this.#done || this.#isPaused() || this.#settled !== undefined) return;
    this.#stopped = false;
    this.#producer.resume();
  }

  #isPaused(): boolean {
    return this.#paused;
  }

  #cancel(reason: unknown): void {
    if (this.#done) return;
    if (this.#settled === undefined) {
      this.#producer.cancel(reason);
    }
    this.#queue = undefined;
    this.#settled = { error: reason };
    this.#paused = false;
    this.#draining = false;
    this.#drain();
  }

  #drain(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#done || this.#draining) return;
    const queue = this.#queue;
    while (queue !== undefined && queue.length > 0 && !this.#paused) {
      // `length > 0` was just checked.
      const chunk = queue.shift() as Uint8Array;
      this.#queuedBytes -= chunk.byteLength;
      if (!sink.data(chunk)) this.#paused = true;
      if (this.#done) return;
    }
    if (queue !== undefined && queue.length > 0) return;
    this.#queue = undefined;
    if (this.#settled === undefined) return;
    this.#done = true;
    if ('error' in this.#settled) sink.error(this.#settled.error);
    else sink.end(this.#settled.trailers);
  }
}

/** The chunks of any body, pulled one after the other. Trailers that come with its end are told before that. */
export async function* iterateBody(
  body: Body,
  onTrailers?: (trailers: HeaderMap | undefined) => void,
): AsyncGenerator<Uint8Array> {
  switch (body.kind) {
    case 'empty':
      return;
    case 'bytes':
      yield typeof body.bytes === 'string' ? Buffer.from(body.bytes) : body.bytes;
      return;
    case 'native':
      yield* body.iterate();
      return;
    case 'push':
      yield* pullBody(body, onTrailers);
  }
}

/** Reads a whole body into memory; for small bodies and tests. */
export async function readBody(body: Body): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of iterateBody(body)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* pullBody(
  body: PushBody,
  onTrailers: ((trailers: HeaderMap | undefined) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let state: 'open' | 'ended' | { error: unknown } = 'open';
  let wake: (() => void) | undefined;
  const control = body.attach({
    data(chunk) {
      chunks.push(chunk);
      wake?.();
      return false;
    },
    end(trailers) {
      onTrailers?.(trailers);
      state = 'ended';
      wake?.();
    },
    error(error) {
      state = { error };
      wake?.();
    },
  });
  const current = (): 'open' | 'ended' | { error: unknown } => state;
  try {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        continue;
      }
      const now = current();
      if (now === 'ended') return;
      if (typeof now === 'object') throw now.error;
      await new Promise<void>((resolve) => {
        wake = resolve;
        control.resume();
      });
      wake = undefined;
    }
  } finally {
    if (current() === 'open') control.cancel(new MeshError('INMESH_ABORTED', 'the reader stopped early'));
  }
}

/** Throws the body away so that its connection can be used again; errors are of no interest. */
export function discardBody(body: Body): void {
  if (body.kind !== 'push' || body.used) return;
  body.attach({ data: () => true, end() {}, error() {} });
}
