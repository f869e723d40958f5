import { pipeline, Readable, type Transform } from 'node:stream';
import {
  type BrotliOptions,
  createBrotliCompress,
  createBrotliDecompress,
  createGunzip,
  createGzip,
  constants as zlib,
} from 'node:zlib';
import type { CompressorLibrary, DecompressorLibrary } from '../model/body-filters.js';
import { MeshError } from '../runtime/errors.js';
import type { BodyTransform } from '../service/transform-body.js';
import type { FilterCounter } from './filter-memory.js';

/** Names of the codings in `content-encoding`. */
export const CODINGS = { gzip: 'gzip', brotli: 'br' } as const;

/** Envoy: fixed for brotli. */
const BROTLI_MAX_RATIO = 100;

/** Bytes before and after. */
export interface ByteCounters {
  readonly uncompressed: FilterCounter;
  readonly compressed: FilterCounter;
}

const BROTLI_MODES = {
  default: zlib.BROTLI_MODE_GENERIC,
  generic: zlib.BROTLI_MODE_GENERIC,
  text: zlib.BROTLI_MODE_TEXT,
  font: zlib.BROTLI_MODE_FONT,
} as const;

/** Compresses a body. Envoy: each chunk is flushed, so that nothing waits for more. */
export function compressing(library: CompressorLibrary, counters: ByteCounters): BodyTransform {
  const make = compressorOf(library);
  return (chunks) => counted(through(counted(chunks, counters.uncompressed), make), counters.compressed);
}

function compressorOf(library: CompressorLibrary): () => Transform {
  if (library.kind === 'gzip') {
    const { level, memoryLevel: memLevel, strategy, windowBits, chunkBytes: chunkSize } = library;
    const options = { memLevel, strategy, windowBits, chunkSize, flush: zlib.Z_SYNC_FLUSH };
    return () => createGzip({ ...options, level: level === 0 ? zlib.Z_DEFAULT_COMPRESSION : level });
  }
  const options: BrotliOptions = {
    chunkSize: library.chunkBytes,
    flush: zlib.BROTLI_OPERATION_FLUSH,
    params: {
      [zlib.BROTLI_PARAM_QUALITY]: library.quality,
      [zlib.BROTLI_PARAM_MODE]: BROTLI_MODES[library.mode],
      [zlib.BROTLI_PARAM_LGWIN]: library.windowBits,
      [zlib.BROTLI_PARAM_LGBLOCK]: library.inputBlockBits,
      [zlib.BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING]: library.disableLiteralContext,
    },
  };
  return () => createBrotliCompress(options);
}

/** Decompresses a body; one that is broken, or grows beyond the ratio of its library, breaks off. */
export function decompressing(library: DecompressorLibrary, counters: ByteCounters): BodyTransform {
  const make = decompressorOf(library);
  const maxRatio = library.kind === 'gzip' ? library.maxRatio : BROTLI_MAX_RATIO;
  return (chunks) => {
    let received = 0;
    async function* measured(): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        received += chunk.byteLength;
        yield chunk;
      }
    }
    async function* limited(): AsyncGenerator<Uint8Array> {
      let made = 0;
      for await (const chunk of through(counted(measured(), counters.compressed), make)) {
        made += chunk.byteLength;
        if (made > maxRatio * received) throw new MeshError('INMESH_BODY_TOO_LARGE', bomb(maxRatio));
        yield chunk;
      }
    }
    return counted(limited(), counters.uncompressed);
  };
}

function bomb(maxRatio: number): string {
  return `a compressed body grows to more than ${maxRatio} times its length`;
}

function decompressorOf(library: DecompressorLibrary): () => Transform {
  if (library.kind === 'gzip') {
    const { windowBits, chunkBytes: chunkSize } = library;
    return () => createGunzip({ windowBits, chunkSize });
  }
  const options: BrotliOptions = {
    chunkSize: library.chunkBytes,
    params: {
      [zlib.BROTLI_DECODER_PARAM_DISABLE_RING_BUFFER_REALLOCATION]: library.disableRingBufferGrowth,
    },
  };
  return () => createBrotliDecompress(options);
}

async function* through(
  chunks: AsyncIterable<Uint8Array>,
  make: () => Transform,
): AsyncGenerator<Uint8Array> {
  const stream = make();
  // Errors of either are those of the stream that is read below.
  pipeline(Readable.from(chunks, { objectMode: true, highWaterMark: 1 }), stream, () => {});
  for await (const chunk of stream) yield chunk as Uint8Array;
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  counter: FilterCounter,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    counter.value += chunk.byteLength;
    yield chunk;
  }
}
