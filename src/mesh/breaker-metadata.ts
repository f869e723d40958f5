import type { FailureRateBreakerOptions } from '../filters/failure-rate-breaker.js';
import type { Metadata, MetadataValue } from '../model/metadata.js';
import { localReply } from '../service/local-reply.js';

/** Where a cluster's metadata says how its failure-rate breaker works. */
const BREAKER_METADATA = 'inmesh.failure_rate_breaker';

/** By the text of the metadata: a cluster that changes otherwise keeps its breaker. */
const known = new Map<string, FailureRateBreakerOptions>();
const MAX_KNOWN = 1000;

/** The failure-rate breaker that a cluster's metadata asks for; the same object for equal metadata. */
export function breakerInMetadata(metadata: Metadata | undefined): FailureRateBreakerOptions | undefined {
  const said = metadata?.[BREAKER_METADATA];
  if (said === undefined) return undefined;
  const text = JSON.stringify(said);
  let options = known.get(text);
  if (options === undefined) {
    options = readBreaker(said);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(text, options);
  }
  return options;
}

function readBreaker(said: Readonly<Record<string, MetadataValue>>): FailureRateBreakerOptions {
  const { failureStatuses, fallback, scope } = said;
  const statuses = Array.isArray(failureStatuses) ? new Set<unknown>(failureStatuses) : undefined;
  return {
    scope: scope === 'host' ? 'host' : 'cluster',
    ...numbers(said),
    ...(statuses !== undefined && { isFailure: ({ status }) => statuses.has(status) }),
    ...fallbackOf(fallback),
  };
}

const NUMBERS = ['errorThresholdPercentage', 'minimumRequests', 'windowMs', 'resetTimeoutMs'] as const;

function numbers(said: Readonly<Record<string, MetadataValue>>): FailureRateBreakerOptions {
  return Object.fromEntries(
    NUMBERS.flatMap((name) => {
      const value = said[name];
      return typeof value === 'number' && value >= 0 ? [[name, value]] : [];
    }),
  );
}

function fallbackOf(fallback: MetadataValue | undefined): Pick<FailureRateBreakerOptions, 'fallback'> {
  if (typeof fallback !== 'object' || fallback === null || !('status' in fallback)) return {};
  const { status, body = '' } = fallback;
  if (typeof status !== 'number' || typeof body !== 'string') return {};
  return {
    fallback: (request) =>
      localReply(request, {
        status,
        body,
        details: 'failure_rate_open',
        reason: 'INMESH_FAILURE_RATE_OPEN',
        flag: 'UO',
      }),
  };
}
