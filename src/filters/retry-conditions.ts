import type { RetryCondition, RetryPolicy } from '../model/retry.js';
import { isGrpc } from '../service/local-reply.js';
import type { Request, Response } from '../service/service.js';
import type { TransportError } from '../service/transport-error.js';

/** `grpc-status` values of the gRPC conditions (Envoy `retry_on` for gRPC). */
const GRPC_STATUS: Partial<Record<RetryCondition, string>> = {
  cancelled: '1',
  'deadline-exceeded': '4',
  'resource-exhausted': '8',
  internal: '13',
  unavailable: '14',
};

/** A retry policy's conditions, compiled: an answer that needs no retry costs one comparison. */
export interface RetryRules {
  /** Whether the response asks for another try. */
  retriesResponse(request: Request, response: Response): boolean;
  /** Whether an attempt without response asks for another try. */
  retriesFailure(error: TransportError): boolean;
}

export function compileRetryRules(policy: RetryPolicy): RetryRules {
  const on = new Set(policy.retryOn);
  const statuses = retriableStatuses(policy, on);
  const grpcStatuses = new Set<string>();
  for (const condition of on) {
    const status = GRPC_STATUS[condition];
    if (status !== undefined) grpcStatuses.add(status);
  }
  const rateLimited = on.has('envoy-ratelimited');
  const anyReset = on.has('5xx') || on.has('gateway-error') || on.has('reset');
  return {
    retriesResponse(request, response) {
      // A successful answer to anything but a gRPC call (always POST) is the common case.
      if (response.status < 400 && (grpcStatuses.size === 0 || request.method !== 'POST')) return false;
      // Envoy: a rate-limited answer is retried for `envoy-ratelimited` only, whatever its status is.
      if (response.status >= 400 && response.headers.has('x-envoy-ratelimited')) return rateLimited;
      if (statuses.has(response.status)) return true;
      // Envoy: only a grpc-status in the headers (a trailers-only response) is looked at.
      const status =
        grpcStatuses.size > 0 && isGrpc(request) ? response.headers.get('grpc-status') : undefined;
      return status !== undefined && grpcStatuses.has(status);
    },
    retriesFailure(error) {
      switch (error.failure) {
        case 'connect':
          return anyReset || on.has('connect-failure') || on.has('reset-before-request');
        case 'refused':
          return anyReset || on.has('refused-stream');
        case 'reset':
        case 'protocol':
        case 'per-try-timeout':
          return anyReset || (on.has('reset-before-request') && !error.requestSent);
        case 'aborted':
          return false;
      }
    },
  };
}

function retriableStatuses(policy: RetryPolicy, on: ReadonlySet<RetryCondition>): Set<number> {
  const statuses = new Set<number>();
  if (on.has('retriable-status-codes')) for (const code of policy.retriableStatusCodes) statuses.add(code);
  if (on.has('gateway-error')) for (const code of [502, 503, 504]) statuses.add(code);
  if (on.has('retriable-4xx')) statuses.add(409);
  if (on.has('5xx')) for (let code = 500; code < 600; code++) statuses.add(code);
  return statuses;
}
