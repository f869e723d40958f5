import type { HeaderMap } from '../../service/headers.js';
import { isGrpc } from '../../service/local-reply.js';
import type { Request, Response } from '../../service/service.js';

/** Index = gRPC status. */
const HTTP_OF_GRPC: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/**
 * The status that outlier detection judges: for gRPC the HTTP equivalent of a `grpc-status` in the headers (Envoy).
 * {@link endsWithStatus} tells when it is in the trailers.
 */
export function statusForOutliers(request: Request, response: Response): number {
  if (!isGrpc(request)) return response.status;
  const status = response.headers.get('grpc-status');
  return status === undefined ? response.status : httpOfGrpc(status);
}

/**
 * Whether the status of a call comes with its trailers. Envoy takes the head for a success then; clients of gRPC judge by
 * the status (gRFC A50), and so do we.
 */
export function endsWithStatus({ context }: Request, response: Response): boolean {
  // Counted are the messages of calls only.
  if (context.grpcMessages === undefined || response.status !== 200) return false;
  return response.isWhole !== true && response.headers.peek('grpc-status') === undefined;
}

/** The status of a call by its trailers; one without any is broken. */
export function statusOfTrailers(trailers: HeaderMap | undefined): number {
  return httpOfGrpc(trailers?.peek('grpc-status') ?? '');
}

/** Envoy's mapping of a gRPC status to HTTP; what is no status counts as 500. */
export function httpOfGrpc(status: string): number {
  return /^\d{1,2}$/.test(status) ? (HTTP_OF_GRPC[Number(status)] ?? 500) : 500;
}
