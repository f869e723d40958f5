import { type Body, bytesBody, EMPTY_BODY, iterateBody, type NativeBody } from '../../service/body.js';

/** Takes a body as undici callers give it: text, bytes, or an object that undici can stream. */
export function fromUndiciBody(body: unknown, length: number | undefined): Body {
  if (body === null || body === undefined) return EMPTY_BODY;
  if (typeof body === 'string' || body instanceof Uint8Array) return bytesBody(body);
  if (body instanceof ArrayBuffer) return bytesBody(new Uint8Array(body));
  return new UndiciBody(body, length);
}

/** A body in a form that undici can send. */
export interface SentBody {
  readonly value: unknown;
  /** Whether it is the caller's source that failed with this error: no peer is to blame, and no other would help. */
  failed(error: unknown): boolean;
}

class PlainBody implements SentBody {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }

  failed(error: unknown): boolean {
    // Node's streams remember what they failed with; nothing else fails for a reason of its own.
    const { value } = this;
    return typeof value === 'object' && value !== null && 'errored' in value && value.errored === error;
  }
}

const NO_BODY = new PlainBody(null);

/** Gives a body in a form that undici can send. */
export function sentBody(body: Body): SentBody {
  switch (body.kind) {
    case 'empty':
      return NO_BODY;
    case 'bytes':
      return new PlainBody(body.bytes);
    case 'native':
      return sentValue(body.value);
    case 'push':
      return new WatchedBody(iterateBody(body));
  }
}

function sentValue(value: unknown): SentBody {
  const isWatched = isAsyncIterable(value) && !('pipe' in value) && !isBlob(value);
  return isWatched ? new WatchedBody(value) : new PlainBody(value);
}

/** Remembers what its source failed with. */
class WatchedBody implements SentBody, AsyncIterable<unknown> {
  readonly #source: AsyncIterable<unknown>;
  #failure: { readonly error: unknown } | undefined;

  constructor(source: AsyncIterable<unknown>) {
    this.#source = source;
  }

  get value(): unknown {
    return this;
  }

  failed(error: unknown): boolean {
    return this.#failure !== undefined && this.#failure.error === error;
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    const source = this.#source[Symbol.asyncIterator]();
    const iterator: AsyncIterator<unknown> = {
      next: async () => {
        try {
          return await source.next();
        } catch (error) {
          this.#failure = { error };
          throw error;
        }
      },
    };
    const give = source.return?.bind(source);
    return give === undefined ? iterator : { ...iterator, return: give };
  }
}

class UndiciBody implements NativeBody {
  readonly kind = 'native';
  readonly value: unknown;
  readonly length: number | undefined;

  constructor(value: unknown, length: number | undefined) {
    this.value = value;
    this.length = length;
  }

  async *iterate(): AsyncGenerator<Uint8Array> {
    const { value } = this;
    if (isAsyncIterable(value)) yield* toBytes(value);
    else if (isBlob(value)) yield* toBytes(value.stream());
    // FormData and other web bodies: the platform knows how to write them.
    else yield* toBytes(new Response(value as ConstructorParameters<typeof Response>[0]).body ?? []);
  }
}

async function* toBytes(chunks: AsyncIterable<unknown> | Iterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk instanceof Uint8Array ? chunk : Buffer.from(String(chunk));
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function isBlob(value: unknown): value is Blob {
  return value instanceof Blob;
}
