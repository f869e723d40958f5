import { type Body, bytesBody, iterateBody, type NativeBody } from './body.js';

/** The beginning of a body, and the body as if nobody had read it. */
export interface BodyPrefix {
  /** At least the bytes that were asked for, or all. */
  readonly bytes: Uint8Array;
  /** Whether that is the whole body. */
  readonly isComplete: boolean;
  readonly body: Body;
  /** Gives the rest up: nobody will read the body. */
  close(): void;
}

const NOTHING_LEFT = () => {};

/** Reads a body until so many bytes are there; the rest is read when somebody asks for it. */
export async function readPrefix(source: Body, wantedBytes: number): Promise<BodyPrefix> {
  if (source.kind === 'empty')
    return { bytes: new Uint8Array(), isComplete: true, body: source, close: NOTHING_LEFT };
  if (source.kind === 'bytes') {
    const { bytes } = source;
    return {
      bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
      isComplete: true,
      body: source,
      close: NOTHING_LEFT,
    };
  }
  const reader = iterateBody(source)[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  for (let size = 0; size < wantedBytes; ) {
    const { done, value } = await reader.next();
    if (done === true) {
      const bytes = Buffer.concat(chunks);
      return { bytes, isComplete: true, body: bytesBody(bytes), close: NOTHING_LEFT };
    }
    chunks.push(value);
    size += value.byteLength;
  }
  const length = source.kind === 'native' ? source.length : undefined;
  const iterate = () => resume(chunks, reader);
  const value: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: iterate };
  const body: NativeBody = { kind: 'native', value, length, iterate };
  const close = () => {
    // A source that can't be given up has nobody to tell.
    reader.return?.(undefined).catch(NOTHING_LEFT);
  };
  return { bytes: Buffer.concat(chunks), isComplete: false, body, close };
}

async function* resume(chunks: Uint8Array[], reader: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) yield chunk;
    for (;;) {
      const { done, value } = await reader.next();
      if (done === true) return;
      yield value;
    }
  } finally {
    await reader.return?.();
  }
}
