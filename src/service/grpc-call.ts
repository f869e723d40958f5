import { bytesBody } from './body.js';
import { type CallAnswer, CallError, type CallTools, callService } from './call.js';
import { FRAME_PREFIX_BYTES, grpcFrame } from './grpc-frames.js';
import { HeaderMap } from './headers.js';
import type { Service } from './service.js';

/** A unary gRPC call. */
export interface GrpcCall {
  readonly authority: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly metadata: readonly (readonly [string, string])[];
  readonly message: Uint8Array;
  /** 0 = none. */
  readonly timeoutMs: number;
  /** Of the answer; default 4 MiB, as in gRPC's libraries. */
  readonly maxBytes?: number | undefined;
}

/** Status of a call that did not end well. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  /** gRPC's number. */
  readonly status: number;

  constructor(status: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;
const { DEADLINE_EXCEEDED, CANCELLED, UNAVAILABLE, RESOURCE_EXHAUSTED, INTERNAL, UNIMPLEMENTED, UNKNOWN } = {
  CANCELLED: 1,
  UNKNOWN: 2,
  DEADLINE_EXCEEDED: 4,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
};

/**
 * Makes a unary gRPC call through a service that speaks HTTP/2; gives the bytes of the answer's message.
 * @throws GrpcError for any status but OK, and for answers that are none.
 */
export async function callGrpc(service: Service, call: GrpcCall, tools: CallTools): Promise<Uint8Array> {
  const headers = HeaderMap.from([
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['grpc-timeout', call.timeoutMs > 0 ? timeoutText(call.timeoutMs) : undefined],
  ]);
  for (const [name, value] of call.metadata) headers.append(name, value);
  let answer: CallAnswer;
  try {
    answer = await callService(
      service,
      {
        method: 'POST',
        scheme: 'http',
        authority: call.authority,
        path: call.path,
        headers,
        body: bytesBody(grpcFrame(call.message)),
        timeoutMs: call.timeoutMs,
        maxBytes: (call.maxBytes ?? DEFAULT_MAX_BYTES) + FRAME_PREFIX_BYTES,
      },
      tools,
    );
  } catch (error) {
    throw new GrpcError(statusOfFailure(error), 'the call failed', error);
  }
  return messageOf(answer);
}

/** gRPC over HTTP/2: at most eight digits and a unit. */
function timeoutText(timeoutMs: number): string {
  const whole = Math.max(1, Math.ceil(timeoutMs));
  return whole < 100_000_000 ? `${whole}m` : `${Math.ceil(whole / 1000)}S`;
}

function statusOfFailure(error: unknown): number {
  switch (error instanceof CallError ? error.failure : undefined) {
    case 'timeout':
      return DEADLINE_EXCEEDED;
    case 'aborted':
      return CANCELLED;
    case 'too-large':
      return RESOURCE_EXHAUSTED;
    default:
      return UNAVAILABLE;
  }
}

function messageOf({ status, headers, body, trailers }: CallAnswer): Uint8Array {
  // Trailers-only answers have the status in their head.
  const text = trailers?.get('grpc-status') ?? headers.get('grpc-status');
  if (text === undefined && status !== 200) {
    throw new GrpcError(httpToGrpcStatus(status), `the answer has HTTP status ${status}`);
  }
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new GrpcError(UNKNOWN, 'the answer has no grpc-status');
  }
  if (text !== '0') {
    const message = trailers?.get('grpc-message') ?? headers.get('grpc-message') ?? '';
    throw new GrpcError(Number(text), message);
  }
  if (status !== 200) throw new GrpcError(httpToGrpcStatus(status), `the answer has HTTP status ${status}`);
  return unframe(body);
}

function unframe(body: Buffer): Uint8Array {
  if (body.byteLength < FRAME_PREFIX_BYTES) throw new GrpcError(INTERNAL, 'the answer has no message');
  if (body.readUInt8(0) !== 0) throw new GrpcError(UNIMPLEMENTED, 'the answer is compressed');
  if (body.readUInt32BE(1) !== body.byteLength - FRAME_PREFIX_BYTES) {
    throw new GrpcError(INTERNAL, 'the answer is not one whole message');
  }
  return body.subarray(FRAME_PREFIX_BYTES);
}

/** gRPC: statuses of HTTP for answers that came without one of gRPC. */
export function httpToGrpcStatus(status: number): number {
  switch (status) {
    case 400:
      return INTERNAL;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return UNAVAILABLE;
    default:
      return UNKNOWN;
  }
}
