import type { rateLimitService } from '../proto/xds.js';
import type { RateLimitDescriptor } from './rate-limit-descriptors.js';

type Status = rateLimitService.RateLimitResponse_DescriptorStatus;
type CurrentLimit = rateLimitService.RateLimitResponse_RateLimit;

/**
 * Seconds of the windows by the numbers of `RateLimitResponse.RateLimit.Unit`: second, minute, hour, day, month, year,
 * week. The type of that enum alone is imported, so that nobody loads its package before the filter is configured.
 */
const WINDOWS: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [2, 60],
  [3, 3600],
  [4, 86_400],
  [5, 30 * 86_400],
  [6, 365 * 86_400],
  [7, 7 * 86_400],
]);

/**
 * The `x-ratelimit-*` headers (draft-polli-ratelimit-headers-03): those of the limit that has least left, then the
 * policy of every limit. Envoy: the limit with least left decides whether there are headers at all, and each limit
 * whether its policy is among them; statuses go with descriptors by their place.
 */
export function rateLimitHeaders(
  statuses: readonly Status[],
  descriptors: readonly RateLimitDescriptor[],
  byDefault: boolean,
): readonly (readonly [string, string])[] {
  const isShown = (index: number) => descriptors[index]?.rateLimitHeaders ?? byDefault;
  let tightest: (Status & { readonly currentLimit: CurrentLimit }) | undefined;
  let tightestIndex = 0;
  for (const [index, status] of statuses.entries()) {
    if (!hasLimit(status)) continue;
    if (tightest === undefined || status.limitRemaining < tightest.limitRemaining) {
      tightest = status;
      tightestIndex = index;
    }
  }
  if (tightest === undefined || !isShown(tightestIndex)) return NONE;
  let limit = String(tightest.currentLimit.requestsPerUnit);
  for (const [index, status] of statuses.entries()) {
    if (hasLimit(status) && isShown(index)) limit += policyOf(status.currentLimit);
  }
  return [
    ['x-ratelimit-limit', limit],
    ['x-ratelimit-remaining', String(tightest.limitRemaining)],
    ['x-ratelimit-reset', String(tightest.durationUntilReset?.seconds ?? 0)],
  ];
}

const NONE: readonly (readonly [string, string])[] = [];

function hasLimit(status: Status): status is Status & { readonly currentLimit: CurrentLimit } {
  return status.currentLimit !== undefined;
}

function policyOf({ requestsPerUnit, unit, name }: CurrentLimit): string {
  const window = WINDOWS.get(unit);
  if (window === undefined) return '';
  return `, ${requestsPerUnit};w=${window}${name === '' ? '' : `;name="${name}"`}`;
}
