import { isGrpc } from '../../service/local-reply.js';
import type { Request, Response } from '../../service/service.js';

/** Index = gRPC status. */
const HTTP_OF_GRPC: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/**
 * The status that outlier detection judges. Envoy: for gRPC the HTTP equivalent of a `grpc-status` in the headers;
 * one in the trailers comes too late.
 */
export function statusForOutliers(request: Request, response: Response): number {
  if (!isGrpc(request)) return response.status;
  const status = response.headers.get('grpc-status');
  return status === undefined ? response.status : httpOfGrpc(status);
}

/** Envoy's mapping of a gRPC status to HTTP; what is no status counts as 500. */
export function httpOfGrpc(status: string): number {
  return /^\d{1,2}$/.test(status) ? (HTTP_OF_GRPC[Number(status)] ?? 500) : 500;
}
