import type { ServerResponse } from 'node:http';
import { MeshError } from '../../runtime/errors.js';
import { BodyQueue } from '../../service/body.js';
import type { BodyChange } from '../../service/head-change.js';
import { transformBody } from '../../service/transform-body.js';

/**
 * Takes what an application writes to its response, so that filters can change it on the way. It is set up before the
 * application has the response; with its head the filters decide whether they do.
 */
export class WrittenBody {
  readonly #response: ServerResponse;
  readonly #write: ServerResponse['write'];
  readonly #end: ServerResponse['end'];
  /** Undefined until the filters want to change the body. */
  #queue: BodyQueue | undefined;
  #isEnded = false;

  constructor(response: ServerResponse) {
    this.#response = response;
    this.#write = response.write;
    this.#end = response.end;
    response.write = (...args: unknown[]) => this.#onWrite(args);
    // Node's overloads of `end` can't be written as one function.
    response.end = ((...args: unknown[]) => this.#onEnd(args)) as ServerResponse['end'];
  }

  /** The head is about to be written; what follows goes through these changes. */
  change(changes: readonly BodyChange[]): void {
    if (changes.length === 0 || hasNoBody(this.#response)) return;
    const response = this.#response;
    const queue = new BodyQueue({ resume: () => void response.emit('drain'), cancel: () => {} });
    this.#queue = queue;
    const body = changes.reduce<ReturnType<BodyChange>>((inner, change) => change(inner), queue);
    const control = (body.kind === 'push' ? body : transformBody(body, (chunks) => chunks)).attach({
      data: (chunk) => Reflect.apply(this.#write, response, [chunk]) as boolean,
      end: () => void Reflect.apply(this.#end, response, []),
      error: (cause) => void response.destroy(cause instanceof Error ? cause : undefined),
    });
    response.on('drain', () => control.resume());
    response.once('close', () => control.cancel(new MeshError('INMESH_ABORTED', 'the caller is gone')));
  }

  #onWrite(args: unknown[]): boolean {
    const [given, second, third] = args;
    const chunk = bytesOf(given, second);
    if (chunk !== undefined && !this.#isEnded) {
      this.#writeHead();
      if (this.#queue !== undefined) {
        const goesOn = this.#queue.push(chunk);
        callLater(typeof second === 'function' ? second : third);
        return goesOn;
      }
    }
    // What is wrong with it is Node's to say.
    return Reflect.apply(this.#write, this.#response, args) as boolean;
  }

  #onEnd(args: unknown[]): ServerResponse {
    const response = this.#response;
    const [given, second, third] = args;
    const chunk = bytesOf(given, second);
    const isBare = given === undefined || given === null || typeof given === 'function';
    if (this.#isEnded || (chunk === undefined && !isBare)) return this.#endNow(args);
    // Node tells the length of a body that comes in one piece; whoever changes it takes that back.
    if (!response.headersSent) setLength(response, chunk?.byteLength ?? 0);
    this.#writeHead();
    if (this.#queue === undefined) return this.#endNow(args);
    this.#isEnded = true;
    const done = [given, second, third].find((one) => typeof one === 'function');
    if (typeof done === 'function') response.once('finish', () => void Reflect.apply(done, response, []));
    if (chunk !== undefined && chunk.byteLength > 0) this.#queue.push(chunk);
    this.#queue.end();
    // Applications ask so whether they have ended it.
    Object.defineProperty(response, 'writableEnded', { value: true, configurable: true });
    return response;
  }

  #writeHead(): void {
    const response = this.#response;
    if (!response.headersSent) response.writeHead(response.statusCode);
  }

  #endNow(args: unknown[]): ServerResponse {
    return Reflect.apply(this.#end, this.#response, args) as ServerResponse;
  }
}

/** RFC 9110 §6.4.1: these have no body, whatever the application wrote. */
function hasNoBody({ req, statusCode }: ServerResponse): boolean {
  return req.method === 'HEAD' || statusCode === 204 || statusCode === 304;
}

function setLength(response: ServerResponse, bytes: number): void {
  const isTold = response.hasHeader('content-length') || response.hasHeader('transfer-encoding');
  if (!isTold && !response.hasHeader('trailer') && !hasNoBody(response)) {
    response.setHeader('content-length', bytes);
  }
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array | undefined {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk !== 'string') return undefined;
  return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
}

function callLater(callback: unknown): void {
  if (typeof callback === 'function') process.nextTick(callback);
}
