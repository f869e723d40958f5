import { type Body, bytesBody, EMPTY_BODY, iterateBody, type NativeBody } from '../../service/body.js';

/** Takes a body as undici callers give it: text, bytes, or an object that undici can stream. */
export function fromUndiciBody(body: unknown, length: number | undefined): Body {
  if (body === null || body === undefined) return EMPTY_BODY;
  if (typeof body === 'string' || body instanceof Uint8Array) return bytesBody(body);
  if (body instanceof ArrayBuffer) return bytesBody(new Uint8Array(body));
  return new UndiciBody(body, length);
}

/** Gives a body in a form that undici can send. */
export function toUndiciBody(body: Body): unknown {
  switch (body.kind) {
    case 'empty':
      return null;
    case 'bytes':
      return body.bytes;
    case 'native':
      return body.value;
    case 'push':
      return iterateBody(body);
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
