import { isGrpc } from '../../service/local-reply.js';
import type { Request, Response } from '../../service/service.js';
import { TimeLimitError } from '../../service/time-limit-error.js';
import type { Host } from '../host.js';
import { askForLoad, hearLoad, type ReadLoad } from '../orca/hear-load.js';
import { httpOfGrpc } from '../outlier/status.js';
import { isOwnLimit } from '../own-limit.js';
import { TransportError } from '../transport.js';
import type { ClusterLoads } from './cluster-loads.js';
import type { LoadCounts } from './load-counts.js';

/** Counts one attempt at a host, from when it is sent until its trailers settle. */
export function countLoad(
  loads: ClusterLoads,
  host: Host,
  request: Request,
  send: () => Promise<Response>,
  read: ReadLoad | undefined,
): Promise<Response> {
  if (loads.readsResponses) askForLoad(request);
  const counts = loads.begin(host);
  return send().then(
    (response) => {
      if (loads.readsResponses && read !== undefined) {
        hearLoad(response, read, (report) => loads.report(counts, report));
      }
      judgeResponse(loads, counts, request, response);
      return response;
    },
    (error: unknown) => {
      judgeFailure(loads, counts, request, error);
      throw error;
    },
  );
}

/** An attempt got no response. Envoy: a caller that gives up is neither success nor error, time limits are errors. */
function judgeFailure(loads: ClusterLoads, counts: LoadCounts, request: Request, error: unknown): void {
  const isCallers = TransportError.is(error) && isOwnLimit(error) && !isTimeLimit(request.abort.reason);
  if (!isCallers) counts.errors++;
  loads.end(counts);
}

/**
 * An attempt got a response. Envoy: an error is a 5xx, known with the head; of gRPC, a status that stands for a 5xx,
 * which comes with the trailers.
 */
function judgeResponse(loads: ClusterLoads, counts: LoadCounts, request: Request, response: Response): void {
  const isDeferred = isGrpc(request) && !response.headers.has('grpc-status');
  if (!isDeferred) count(counts, statusOf(request, response));
  response.completion.onEnd(({ trailers, error }) => {
    if (isDeferred) {
      const isCallers = error !== undefined && request.abort.aborted && !isTimeLimit(request.abort.reason);
      // One that ends without a status is an error.
      if (!isCallers) count(counts, httpOfGrpc(trailers?.get('grpc-status') ?? ''));
    }
    loads.end(counts);
  });
}

function statusOf(request: Request, { status, headers }: Response): number {
  const grpcStatus = isGrpc(request) ? headers.get('grpc-status') : undefined;
  return grpcStatus === undefined ? status : httpOfGrpc(grpcStatus);
}

function count(counts: LoadCounts, status: number): void {
  if (status >= 500) counts.errors++;
  else counts.successes++;
}

/** Whether one of the mesh's own time limits ended the attempt. */
function isTimeLimit(reason: unknown): boolean {
  return reason instanceof TimeLimitError || TransportError.is(reason);
}
