import { constants, deflate, gunzip, gzip, inflate, type ZlibOptions } from 'node:zlib';
import type { status } from '@grpc/grpc-js';
import { codeOf } from '../../runtime/errors.js';

/** How gRPC compresses messages; the name is what `grpc-encoding` says. */
export type Encoding = 'identity' | 'deflate' | 'gzip';

/** What clients say that they take, as grpc-js writes it. */
export const ACCEPTED = 'identity,deflate,gzip';

/** grpc-js: the numbers of `grpc.default_compression_algorithm`. */
const BY_NUMBER: Readonly<Record<number, Encoding>> = { 0: 'identity', 1: 'deflate', 2: 'gzip' };

/** The encoding that a channel option asks for. */
export function encodingOf(option: unknown): Encoding {
  return (typeof option === 'number' ? BY_NUMBER[option] : undefined) ?? 'identity';
}

/** Why a message can't be read, as the status of its call. */
export interface ReadFailure {
  readonly code: status;
  readonly details: string;
}

const INTERNAL = 13;
const RESOURCE_EXHAUSTED = 8;

/** Compresses a message; `encoding` is not `identity`. */
export function compress(
  message: Uint8Array,
  encoding: Encoding,
  done: (error: Error | null, bytes: Buffer) => void,
): void {
  (encoding === 'gzip' ? gzip : deflate)(message, done);
}

/** Reads a compressed message; `limit` bounds what it may become, -1 = nothing does. */
export function decompress(
  message: Buffer,
  encoding: string,
  limit: number,
  done: (failure: ReadFailure | undefined, bytes: Buffer) => void,
): void {
  if (encoding !== 'gzip' && encoding !== 'deflate') {
    const details =
      encoding === 'identity'
        ? 'Received compressed message but "grpc-encoding" header was identity'
        : `Received message compressed with unsupported compression method ${encoding}`;
    done({ code: INTERNAL, details }, message);
    return;
  }
  const options: ZlibOptions =
    limit === -1 ? {} : { maxOutputLength: Math.max(1, limit), finishFlush: constants.Z_FINISH };
  const hear = (error: Error | null, bytes: Buffer) => {
    if (error === null) done(undefined, bytes);
    else done(failureOf(error, encoding, limit), message);
  };
  (encoding === 'gzip' ? gunzip : inflate)(message, options, hear);
}

function failureOf(error: Error, encoding: Encoding, limit: number): ReadFailure {
  if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') {
    const details = `Received message that decompresses to a size larger than ${limit}`;
    return { code: RESOURCE_EXHAUSTED, details };
  }
  return { code: INTERNAL, details: `Failed to decompress ${encoding}-encoded message` };
}
