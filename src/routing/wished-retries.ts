import type { HeaderMatcher } from '../model/matcher.js';
import type { RetryPolicy } from '../model/retry.js';
import type { RetryWishes } from '../service/time-limits.js';
import { wholeNumber } from './request-controls.js';
import { parseRetryGrpcOn, parseRetryOn, splitTokens } from './retry-tokens.js';

/** Envoy: conditions, codes and header names of the request are added; its count replaces the policy's. */
export function withWishes(policy: RetryPolicy, wishes: RetryWishes): RetryPolicy {
  const { retryOn, retryGrpcOn, maxRetries, statusCodes, headerNames } = wishes;
  const codes = splitTokens(statusCodes ?? '').map(wholeNumber);
  const names = splitTokens(headerNames ?? '').map(presenceOf);
  return {
    ...policy,
    retryOn: [
      ...new Set([
        ...policy.retryOn,
        ...parseRetryOn(retryOn ?? '').conditions,
        ...parseRetryGrpcOn(retryGrpcOn ?? '').conditions,
      ]),
    ],
    numRetries: wholeNumber(maxRetries) ?? policy.numRetries,
    retriableStatusCodes: [
      ...policy.retriableStatusCodes,
      ...codes.filter((code): code is number => code !== undefined),
    ],
    retriableHeaders: [...(policy.retriableHeaders ?? []), ...names],
  };
}

function presenceOf(name: string): HeaderMatcher {
  return { name, match: { kind: 'present', present: true }, invert: false, treatMissingAsEmpty: false };
}
