import { status } from '@grpc/grpc-js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import { TimeLimitError } from '../../service/time-limit-error.js';
import { TransportError, type TransportFailure } from '../../service/transport-error.js';
import { peerFailed } from '../account.js';

/** How a call ended, without its metadata. */
export interface Ending {
  readonly code: status;
  readonly details: string;
}

/** gRPC: the statuses that answers of HTTP stand for when they carry none of gRPC (`http-grpc-status-mapping`). */
const BY_HTTP: Readonly<Record<number, status>> = {
  400: status.INTERNAL,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.UNIMPLEMENTED,
  429: status.UNAVAILABLE,
  502: status.UNAVAILABLE,
  503: status.UNAVAILABLE,
  504: status.UNAVAILABLE,
};

/** The end of a call whose answer has no status of gRPC. */
export function endingOfHttp(httpStatus: number): Ending {
  return {
    code: BY_HTTP[httpStatus] ?? status.UNKNOWN,
    details: `Received HTTP status code ${httpStatus}`,
  };
}

/** The status that trailers, or a head that is all of the answer, name; undefined when they name none. */
export function endingOfTrailers(trailers: HeaderMap | undefined): Ending | undefined {
  const code = trailers?.peek('grpc-status');
  if (code === undefined) return undefined;
  return { code: Number(code), details: decodeMessage(trailers?.peek('grpc-message') ?? '') };
}

/** An answer that the mesh made says why, for people and for code. */
export function withReason(ending: Ending, { local }: Response): Ending {
  if (local === undefined || ending.code === status.OK) return ending;
  const details = ending.details === '' ? local.details : ending.details;
  return { code: ending.code, details: `${details} (${local.reason})` };
}

/** The end of an answer that just stopped. */
export function endingWithoutStatus(httpStatus: number): Ending {
  if (httpStatus !== 200) return endingOfHttp(httpStatus);
  return {
    code: status.INTERNAL,
    details: 'Received RST_STREAM with code 0 (Call ended without gRPC status)',
  };
}

/** HTTP/2 error codes that stand for a status of their own (gRPC over HTTP/2, and what grpc-js says of them). */
const BY_RESET: Readonly<Record<number, Ending>> = {
  2: { code: status.INTERNAL, details: 'Received RST_STREAM with code 2 (Internal server error)' },
  7: { code: status.UNAVAILABLE, details: 'Stream refused by server' },
  8: { code: status.CANCELLED, details: 'Call cancelled' },
  11: { code: status.RESOURCE_EXHAUSTED, details: 'Bandwidth exhausted or memory limit exceeded' },
  12: { code: status.PERMISSION_DENIED, details: 'Protocol not secure enough' },
};

/** The end of a call whose exchange failed; `httpStatus` is that of a head that came before, 0 = none. */
export function endingOfFailure(error: unknown, request: Request, httpStatus: number): Ending {
  const { context } = request;
  const stage = httpStatus === 0 ? 'no-answer' : 'in-answer';
  const failure = TransportError.is(error)
    ? error.failure
    : httpStatus === 0
      ? undefined
      : context.bodyFailure;
  const cause = TransportError.is(error) ? error.cause : error;
  if (cause instanceof TimeLimitError) {
    return { code: status.DEADLINE_EXCEEDED, details: `INMESH_TIMEOUT: ${cause.message}` };
  }
  // gRPC: metadata that is too large is no fault of the server, and of no use again.
  if (MeshError.is(cause) && cause.code === 'INMESH_HEADER_INVALID') {
    return { code: status.RESOURCE_EXHAUSTED, details: cause.message };
  }
  if (failure === undefined) return endingOfError(error);
  const reset = resetEnding(failure, context.resetCode, httpStatus);
  if (reset !== undefined) return reset;
  return { code: status.UNAVAILABLE, details: peerFailed(error, request, stage).message };
}

function resetEnding(
  failure: TransportFailure,
  code: number | undefined,
  httpStatus: number,
): Ending | undefined {
  if (failure !== 'remote-reset' && failure !== 'refused' && failure !== 'reset') return undefined;
  // A connection that broke has none.
  if (code === undefined) return undefined;
  if (code === 0) return endingWithoutStatus(httpStatus === 0 ? 200 : httpStatus);
  return BY_RESET[code] ?? { code: status.INTERNAL, details: `Received RST_STREAM with code ${code}` };
}

/** What is no failure of a peer: the mesh is closed or has no configuration, or a filter of the application threw. */
function endingOfError(error: unknown): Ending {
  if (MeshError.is(error)) return { code: status.UNAVAILABLE, details: error.message };
  return { code: status.INTERNAL, details: messageOf(error) };
}

/** gRPC: percent-encoded UTF-8; what is wrongly encoded is shown as it came. */
function decodeMessage(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
