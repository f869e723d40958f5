import type { MetadataStruct } from '../../model/metadata.js';
import { groupBy } from '../../runtime/group-by.js';
import { derived, lookup } from '../kinds/derived.js';
import { fullHostName } from '../kinds/hosts.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { isExported } from '../mesh/visibility.js';
import type { Target } from './route-context.js';

/** Where a cluster's metadata says how its failure-rate breaker works. */
export const BREAKER_METADATA = 'inmesh.failure_rate_breaker';

/**
 * The failure-rate breaker of a cluster, as its metadata has it: that of the client's own namespace before others, what
 * names a subset or a port before what does not, then the oldest.
 */
export function breakerOf(
  view: ConfigView,
  { host, port, subset }: Target,
  clientNamespace: string,
): MetadataStruct | undefined {
  const found = breakersAt(view, host)
    .filter(({ namespace, spec }) => {
      const exposure = { from: namespace, to: clientNamespace, byDefault: undefined };
      return (
        (spec.subset === undefined || spec.subset === subset) &&
        (spec.port === undefined || spec.port === port) &&
        isExported(spec.exportTo, exposure)
      );
    })
    .sort((a, b) => rank(a) - rank(b) || a.order - b.order)[0];
  return found && metadataOf(found.spec);

  function rank({ namespace, spec }: Document<'FailureRateBreaker'>): number {
    const isNear = namespace === clientNamespace ? 0 : 4;
    return isNear + (spec.subset === undefined ? 2 : 0) + (spec.port === undefined ? 1 : 0);
  }
}

const NONE: readonly Document<'FailureRateBreaker'>[] = [];

const breakersAt = lookup(
  derived((view) =>
    groupBy(view.list('FailureRateBreaker'), ({ namespace, spec }) => fullHostName(spec.host, namespace)),
  ),
  (byHost, host: string) => byHost.get(host) ?? NONE,
);

function metadataOf(spec: Document<'FailureRateBreaker'>['spec']): MetadataStruct {
  const { scope, errorThresholdPercentage, minimumRequests, window, resetTimeout } = spec;
  const { failureStatuses, fallback } = spec;
  return {
    scope: scope === 'ENDPOINT' ? 'host' : 'cluster',
    errorThresholdPercentage: errorThresholdPercentage ?? 50,
    minimumRequests: minimumRequests ?? 20,
    windowMs: window ?? 10_000,
    resetTimeoutMs: resetTimeout ?? 30_000,
    ...(failureStatuses && { failureStatuses }),
    ...(fallback && { fallback: { status: fallback.status, body: fallback.body ?? '' } }),
  };
}
