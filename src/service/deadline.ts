import { grpcTimeoutOf } from './grpc-timeout.js';
import type { HeaderMap } from './headers.js';
import { isGrpcType } from './local-reply.js';

const WHOLE = /^\d+$/;

/**
 * Until when the caller waits, by what it says: Envoy's `x-envoy-expected-rq-timeout-ms`, or the `grpc-timeout` of a gRPC
 * call; the sooner of both. Undefined when it says nothing. Headers that nobody reads are not decoded for this.
 */
export function deadlineOf(headers: HeaderMap, startMs: number): number | undefined {
  const expected = expectedOf(headers.peek('x-envoy-expected-rq-timeout-ms'));
  const asked = isGrpcType(headers.peek('content-type')) ? grpcTimeoutOf(headers) : undefined;
  if (expected === undefined && asked === undefined) return undefined;
  return startMs + Math.min(expected ?? Number.POSITIVE_INFINITY, asked ?? Number.POSITIVE_INFINITY);
}

/** 0 stands for no limit (Envoy). */
function expectedOf(text: string | undefined): number | undefined {
  if (text === undefined || !WHOLE.test(text)) return undefined;
  const ms = Number(text);
  return ms === 0 ? undefined : ms;
}
