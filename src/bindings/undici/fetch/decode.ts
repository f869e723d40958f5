import { pipeline, type Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import {
  type BrotliOptions,
  constants,
  createBrotliDecompress,
  createGunzip,
  type ZlibOptions,
} from 'node:zlib';
import type { FetchInternals } from './internals.js';

/** A chain of codings costs memory per link: no more than these are undone (as in curl and urllib3). */
export const MAX_CODINGS = 5;

// Lenient with ends that are cut off, as browsers and curl are.
const FLUSH: ZlibOptions = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH };
const BROTLI_FLUSH: BrotliOptions = {
  flush: constants.BROTLI_OPERATION_FLUSH,
  finishFlush: constants.BROTLI_OPERATION_FLUSH,
};

/** Node 22.15 and later. */
const { createZstdDecompress } = zlib as {
  createZstdDecompress?: (options: object) => NodeJS.ReadWriteStream;
};

/** The codings of a `Content-Encoding` header, in the order they were applied. */
export function codingsOf(header: string | null): readonly string[] {
  return header === null || header === '' ? [] : header.toLowerCase().split(',');
}

/** The streams that undo the codings, outermost first; none when one of them is unknown. */
export function decodersOf(codings: readonly string[], internals: FetchInternals): NodeJS.ReadWriteStream[] {
  const decoders: NodeJS.ReadWriteStream[] = [];
  for (const coding of codings.toReversed()) {
    const decoder = decoderOf(coding.trim(), internals);
    if (decoder === undefined) return [];
    decoders.push(decoder);
  }
  return decoders;
}

function decoderOf(coding: string, internals: FetchInternals): NodeJS.ReadWriteStream | undefined {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip(FLUSH);
    case 'deflate':
      // With and without zlib's own header.
      return internals.createInflate(FLUSH);
    case 'br':
      return createBrotliDecompress(BROTLI_FLUSH);
    case 'zstd':
      return createZstdDecompress?.({
        flush: (constants as Record<string, unknown>)['ZSTD_e_continue'],
        finishFlush: (constants as Record<string, unknown>)['ZSTD_e_end'],
      });
    default:
      return undefined;
  }
}

/** Connects encoded bytes with their decoders; `failed` hears of bytes that can't be decoded. */
export function decode(
  encoded: Readable,
  decoders: readonly NodeJS.ReadWriteStream[],
  failed: (error: Error) => void,
): Readable {
  // The last of the decoders is a Duplex of node:zlib, or undici's Transform.
  return pipeline([encoded, ...decoders], (error) => {
    if (error) failed(error);
  }) as unknown as Readable;
}
