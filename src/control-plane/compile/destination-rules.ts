import { coversHost, fullHostName } from '../kinds/hosts.js';
import type { Subset, TrafficPolicy } from '../kinds/types.js';
import type { ConfigView, Document } from '../store/view.js';
import type { MeshConfig } from './mesh-config.js';
import { isExported, selects } from './visibility.js';

/** What holds for the connections to one host: rules of one namespace for that host, merged. */
export interface DestinationPolicy {
  readonly trafficPolicy: TrafficPolicy | undefined;
  readonly subsets: readonly Subset[];
}

export const NO_POLICY: DestinationPolicy = { trafficPolicy: undefined, subsets: [] };

/** Who asks, and for what. */
export interface DestinationQuery {
  readonly clientNamespace: string;
  /** Those of the client. */
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceNamespace: string;
  readonly host: string;
}

export interface DestinationRuleIndex {
  find(query: DestinationQuery): DestinationPolicy;
}

interface Rule {
  readonly host: string;
  readonly document: Document<'DestinationRule'>;
}

/** Indexes the DestinationRules of a view. */
export function indexDestinationRules(
  view: ConfigView,
  {
    rootNamespace,
    exportTo: { destinationRules: byDefault },
  }: Pick<MeshConfig, 'rootNamespace' | 'exportTo'>,
): DestinationRuleIndex {
  const byNamespace = new Map<string, Rule[]>();
  for (const document of view.list('DestinationRule')) {
    const rules = byNamespace.get(document.namespace) ?? [];
    rules.push({ host: fullHostName(document.spec.host, document.namespace), document });
    byNamespace.set(document.namespace, rules);
  }
  return {
    find({ clientNamespace, labels, serviceNamespace, host }) {
      // Istio: the client's namespace, then the service's, then the root; the first that has a rule decides alone.
      for (const namespace of new Set([clientNamespace, serviceNamespace, rootNamespace])) {
        const visible = (byNamespace.get(namespace) ?? []).filter(
          ({ document: { spec } }) =>
            namespace === clientNamespace ||
            // Istio: rules for some workloads are for those of their own namespace.
            (spec.workloadSelector === undefined &&
              isExported(spec.exportTo, { from: namespace, to: clientNamespace, byDefault })),
        );
        const rules = forClient(mostSpecific(visible, host), labels);
        if (rules.length > 0) return merge(rules);
      }
      return NO_POLICY;
    },
  };
}

/** Istio: the oldest rule that selects the client holds alone; else those without a selector do. */
function forClient(rules: readonly Rule[], labels: DestinationQuery['labels']): readonly Rule[] {
  const selectorOf = ({ document }: Rule) => document.spec.workloadSelector?.matchLabels;
  const own = rules.find((rule) => {
    const selector = selectorOf(rule);
    return selector !== undefined && Object.keys(selector).length > 0 && selects(selector, labels);
  });
  return own === undefined
    ? rules.filter(({ document }) => document.spec.workloadSelector === undefined)
    : [own];
}

/** The rules for the most specific host that covers the asked one, oldest first. */
function mostSpecific(rules: readonly Rule[], host: string): readonly Rule[] {
  let best: string | undefined;
  for (const rule of rules) {
    if (coversHost(rule.host, host) && (best === undefined || isMoreSpecific(rule.host, best)))
      best = rule.host;
  }
  return rules.filter((rule) => rule.host === best);
}

/** Istio: an exact host before a longer wildcard before a shorter one. */
export function isMoreSpecific(a: string, b: string): boolean {
  const isWildcard = a.startsWith('*');
  if (isWildcard !== b.startsWith('*')) return !isWildcard;
  return a.length > b.length;
}

/** Istio: subsets with new names are added, the first traffic policy wins. */
function merge(rules: readonly Rule[]): DestinationPolicy {
  const subsets = new Map<string, Subset>();
  let trafficPolicy: TrafficPolicy | undefined;
  for (const { document } of rules) {
    trafficPolicy ??= document.spec.trafficPolicy;
    for (const subset of document.spec.subsets ?? []) {
      if (!subsets.has(subset.name)) subsets.set(subset.name, subset);
    }
  }
  return { trafficPolicy, subsets: [...subsets.values()] };
}
