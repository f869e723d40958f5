import type { HeaderMatcher } from '../model/matcher.js';
import type { RetryCondition, RetryPolicy } from '../model/retry.js';
import { compileHeaderMatcher } from '../routing/match.js';
import { withWishes } from '../routing/wished-retries.js';
import { grpcStatusOfFailure } from '../service/grpc-failure.js';
import { HeaderMap } from '../service/headers.js';
import { isGrpcType } from '../service/local-reply.js';
import type { RequestHead, Response } from '../service/service.js';
import type { RetryWishes } from '../service/time-limits.js';
import type { TransportError } from '../service/transport-error.js';

/** `grpc-status` values of the gRPC conditions (Envoy `retry_on` for gRPC). */
const GRPC_STATUS: Partial<Record<RetryCondition, string>> = {
  cancelled: '1',
  'deadline-exceeded': '4',
  'resource-exhausted': '8',
  internal: '13',
  unavailable: '14',
};

/** What is retried and how often; an answer that needs no retry costs a comparison. */
export interface RetryRules {
  readonly numRetries: number;
  /** Whether the response asks for another try. */
  retriesResponse(response: Response): boolean;
  /** Whether an attempt without response asks for another try. */
  retriesFailure(error: TransportError): boolean;
  /** So often, after such failures, the next host is asked at once, without a permit and uncounted. Undefined = never. */
  readonly free?: { readonly count: number; fits(error: TransportError): boolean } | undefined;
}

/** The rules of a policy for requests of which some may not be retried at all. */
export interface RetryPlan {
  /** The rules for one request; undefined when it is never retried. */
  rulesFor(head: RequestHead, wishes: RetryWishes | undefined): RetryRules | undefined;
}

/** Compiles a policy. A request that wishes nothing gets the policy's own rules, made once. */
export function compileRetryPlan(policy: RetryPolicy): RetryPlan {
  const base = policy.retryOn.length > 0 ? compileRetryRules(policy) : undefined;
  const forGrpc = base && grpcRules(policy, base);
  const { retriableRequestHeaders } = policy;
  const tests = retriableRequestHeaders?.map(compileHeaderMatcher);
  return {
    rulesFor(head, wishes) {
      if (wishes === undefined && base === undefined) return undefined;
      // Envoy: a request that matches none of them is not retried, whatever its own headers say.
      if (tests !== undefined && !tests.some((test) => test(head))) return undefined;
      if (wishes === undefined) return forGrpc !== undefined && isGrpcHead(head) ? forGrpc : base;
      const wished = withWishes(policy, wishes);
      if (wished.retryOn.length === 0) return undefined;
      const rules = compileRetryRules(wished);
      return isGrpcHead(head) ? (grpcRules(wished, rules) ?? rules) : rules;
    },
  };
}

/**
 * The rules for gRPC calls when the policy has conditions of gRPC (gRFC A6, A44): an attempt without an answer counts as
 * the status that its client would see. Undefined when there are none.
 */
function grpcRules(policy: RetryPolicy, rules: RetryRules): RetryRules | undefined {
  const statuses = grpcStatusesOf(policy.retryOn);
  if (statuses.size === 0) return undefined;
  return {
    ...rules,
    retriesFailure: (error) => rules.retriesFailure(error) || retriesGrpcFailure(statuses, error),
  };
}

function isGrpcHead({ method, headers }: RequestHead): boolean {
  return method === 'POST' && isGrpcType(headers.get('content-type'));
}

/** The rules of a policy whose conditions are all that counts. */
export function compileRetryRules(policy: RetryPolicy): RetryRules {
  const on = new Set(policy.retryOn);
  const statuses = retriableStatuses(policy, on);
  const grpcStatuses = grpcStatusesOf(policy.retryOn);
  const rateLimited = on.has('envoy-ratelimited');
  const matches = on.has('retriable-headers')
    ? compileResponseTest(policy.retriableHeaders ?? [])
    : undefined;
  const looksAtSuccess = rateLimited || grpcStatuses.size > 0 || matches !== undefined;
  const looksAtLowStatus = looksAtSuccess || [...statuses].some((status) => status < 400);
  return {
    numRetries: policy.numRetries,
    retriesResponse(response) {
      if (response.status < 400 && !looksAtLowStatus) return false;
      const { headers } = response;
      // Envoy: a rate-limited answer is retried for `envoy-ratelimited` only, whatever its status is.
      if (headers.peek('x-envoy-ratelimited') !== undefined) return rateLimited;
      if (statuses.has(response.status)) return true;
      if (matches?.(response) === true) return true;
      // Envoy: only a grpc-status in the headers (a trailers-only response) is looked at.
      const status = grpcStatuses.size > 0 ? headers.peek('grpc-status') : undefined;
      return status !== undefined && grpcStatuses.has(status);
    },
    retriesFailure: (error) => retriesFailure(on, error),
  };
}

/** Whether any of a policy's conditions is a status of gRPC. */
export function hasGrpcConditions({ retryOn }: RetryPolicy): boolean {
  return grpcStatusesOf(retryOn).size > 0;
}

function grpcStatusesOf(conditions: readonly RetryCondition[]): ReadonlySet<string> {
  const statuses = conditions.map((condition) => GRPC_STATUS[condition]);
  return new Set(statuses.filter((status): status is string => status !== undefined));
}

function retriesGrpcFailure(statuses: ReadonlySet<string>, error: TransportError): boolean {
  const { failure } = error;
  // gRPC: an attempt that takes too long is tried again whatever the statuses are.
  if (failure === 'per-try-timeout' || failure === 'per-try-idle-timeout') return true;
  if (failure === 'stream-duration') return false;
  return statuses.has(String(grpcStatusOfFailure(error)));
}

function retriesFailure(on: ReadonlySet<RetryCondition>, { failure, requestSent }: TransportError): boolean {
  const anyReset = on.has('5xx') || on.has('gateway-error') || on.has('reset');
  switch (failure) {
    case 'connect':
      return anyReset || on.has('connect-failure') || on.has('reset-before-request');
    case 'refused':
      return anyReset || on.has('refused-stream') || (on.has('reset-before-request') && !requestSent);
    case 'reset':
    case 'remote-reset':
    case 'protocol':
    case 'per-try-timeout':
    case 'per-try-idle-timeout':
    case 'stream-duration':
      return anyReset || (on.has('reset-before-request') && !requestSent);
    case 'aborted':
      return false;
  }
}

function retriableStatuses(policy: RetryPolicy, on: ReadonlySet<RetryCondition>): Set<number> {
  const statuses = new Set<number>();
  if (on.has('retriable-status-codes')) for (const code of policy.retriableStatusCodes) statuses.add(code);
  if (on.has('gateway-error')) for (const code of [502, 503, 504]) statuses.add(code);
  if (on.has('retriable-4xx')) statuses.add(409);
  if (on.has('5xx')) for (let code = 500; code < 600; code++) statuses.add(code);
  return statuses;
}

/** Tests a response with header matchers of which any is enough; `:status` is a header to them. */
function compileResponseTest(
  matchers: readonly HeaderMatcher[],
): ((response: Response) => boolean) | undefined {
  if (matchers.length === 0) return undefined;
  const tests = matchers.map((matcher) => {
    const test = compileHeaderMatcher(matcher);
    return matcher.name === ':status'
      ? ({ status }: Response) => test(headOf(HeaderMap.fromLines([':status', String(status)])))
      : ({ headers }: Response) => test(headOf(headers));
  });
  return (response) => tests.some((test) => test(response));
}

/** Matchers are made for requests; of a response they read the headers. */
function headOf(headers: HeaderMap): RequestHead {
  return { method: '', scheme: '', authority: '', path: '', headers };
}
