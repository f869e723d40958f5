import type { ClientHttp2Stream } from 'node:http2';
import type { BodyControl, BodySink, NativeBody } from '../../service/body.js';
import type { Exchange } from '../../service/context.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';
import { abandon } from './abandon.js';

/** Sends a request's body over its stream, no faster than the server takes it, and its trailers. */
export class BodySender implements BodySink {
  /** Whether the body itself broke off, so that the server is not to blame. */
  isToBlame = false;
  readonly #stream: ClientHttp2Stream;
  readonly #context: Exchange;
  readonly #mayHaveTrailers: boolean;
  #control: BodyControl | undefined;
  #isOver = false;

  constructor(stream: ClientHttp2Stream, { body, context }: Request) {
    this.#stream = stream;
    this.#context = context;
    this.#mayHaveTrailers = body.kind === 'push' && body.withoutTrailers !== true;
    stream.once('finish', () => context.requestSent?.settle());
    switch (body.kind) {
      case 'empty':
        stream.end();
        break;
      case 'bytes': {
        const bytes = typeof body.bytes === 'string' ? Buffer.from(body.bytes) : body.bytes;
        context.requestBytes += bytes.byteLength;
        context.grpcMessages?.request.feed(bytes);
        stream.end(bytes);
        break;
      }
      case 'push':
        stream.on('drain', () => this.#control?.resume());
        this.#control = body.attach(this);
        break;
      case 'native':
        void this.#pump(body);
    }
  }

  /** The stream is gone: the rest of the body is not wanted. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#control?.cancel(new Error('the stream of the request was closed'));
    this.#drained?.();
  }

  data(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    return this.#write(chunk);
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#mayHaveTrailers) {
      this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(trailersOf(trailers)));
    }
    this.#stream.end();
  }

  error(cause: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.isToBlame = true;
    this.#stream.emit('error', cause instanceof Error ? cause : new Error(String(cause)));
    abandon(this.#stream);
  }

  #drained: (() => void) | undefined;

  #write(chunk: Uint8Array): boolean {
    this.#context.requestBytes += chunk.byteLength;
    this.#context.grpcMessages?.request.feed(chunk);
    return this.#stream.write(chunk);
  }

  async #pump(body: NativeBody): Promise<void> {
    try {
      for await (const chunk of body.iterate()) {
        // Leaving the loop closes the source.
        if (this.#isOver) return;
        if (!this.#write(chunk)) await this.#drain();
      }
      if (this.#isOver) return;
      this.#isOver = true;
      this.#stream.end();
    } catch (error) {
      this.error(error);
    }
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#stream.once('drain', resolve);
    });
  }
}

function trailersOf(trailers: HeaderMap | undefined): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = {};
  if (trailers === undefined) return record;
  for (const [name] of trailers) {
    if (record[name] !== undefined) continue;
    const values = trailers.getAll(name);
    record[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return record;
}
