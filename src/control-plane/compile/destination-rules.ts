import { WeakMemo } from '../../runtime/weak-memo.js';
import { coversHost, fullHostName } from '../kinds/hosts.js';
import type { Subset, TrafficPolicy } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { isExported, selects } from '../mesh/visibility.js';

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

/** The rules of one namespace. */
class NamespaceRules {
  readonly #exact = new Map<string, Rule[]>();
  /** The most specific first, those of one pattern oldest first. */
  readonly #wildcards: Rule[] = [];
  #isSorted = true;

  add(rule: Rule): void {
    if (rule.host.startsWith('*')) {
      this.#wildcards.push(rule);
      this.#isSorted = false;
      return;
    }
    const known = this.#exact.get(rule.host);
    if (known === undefined) this.#exact.set(rule.host, [rule]);
    else known.push(rule);
  }

  /** The visible rules for the most specific host that covers the asked one, oldest first. */
  mostSpecific(host: string, isVisible: (rule: Rule) => boolean): readonly Rule[] {
    const exact = this.#exact.get(host)?.filter(isVisible) ?? [];
    if (exact.length > 0) return exact;
    if (!this.#isSorted) {
      this.#wildcards.sort(
        (a, b) => b.host.length - a.host.length || (a.host < b.host ? -1 : Number(a.host > b.host)),
      );
      this.#isSorted = true;
    }
    const best = this.#wildcards.find((rule) => coversHost(rule.host, host) && isVisible(rule));
    return best === undefined
      ? []
      : this.#wildcards.filter((rule) => rule.host === best.host && isVisible(rule));
  }
}

const indexes = new WeakMemo<Map<string, DestinationRuleIndex>>();

/** What of the settings of the mesh counts here. */
type Settings = Pick<MeshConfig, 'rootNamespace' | 'exportTo'>;

/** Indexes the DestinationRules of a view, once. */
export function indexDestinationRules(view: ConfigView, settings: Settings): DestinationRuleIndex {
  const rules = view.list('DestinationRule');
  const bySettings = indexes.get([rules], () => new Map());
  const key = JSON.stringify([settings.rootNamespace, settings.exportTo.destinationRules]);
  let index = bySettings.get(key);
  if (index === undefined) {
    index = indexRules(rules, settings);
    bySettings.set(key, index);
  }
  return index;
}

function indexRules(
  documents: readonly Document<'DestinationRule'>[],
  { rootNamespace, exportTo: { destinationRules: byDefault } }: Settings,
): DestinationRuleIndex {
  const byNamespace = new Map<string, NamespaceRules>();
  for (const document of documents) {
    const rules = byNamespace.get(document.namespace) ?? new NamespaceRules();
    rules.add({ host: fullHostName(document.spec.host, document.namespace), document });
    byNamespace.set(document.namespace, rules);
  }
  const merged = new Map<string, DestinationPolicy>();
  return {
    find({ clientNamespace, labels, serviceNamespace, host }) {
      // Istio: the client's namespace, then the service's, then the root; the first that has a rule decides alone.
      for (const namespace of new Set([clientNamespace, serviceNamespace, rootNamespace])) {
        const isVisible = ({ document: { spec } }: Rule) =>
          namespace === clientNamespace ||
          // Istio: rules for some workloads are for those of their own namespace.
          (spec.workloadSelector === undefined &&
            isExported(spec.exportTo, { from: namespace, to: clientNamespace, byDefault }));
        const visible = byNamespace.get(namespace)?.mostSpecific(host, isVisible) ?? [];
        const rules = forClient(visible, labels);
        if (rules.length > 0) return policyOf(rules, merged);
      }
      return NO_POLICY;
    },
  };
}

const ofOne = new WeakMemo<DestinationPolicy>();

/** The same object as long as the rules say the same. */
function policyOf(rules: readonly Rule[], merged: Map<string, DestinationPolicy>): DestinationPolicy {
  const [only, ...more] = rules;
  if (only !== undefined && more.length === 0) return ofOne.get([only.document.spec], () => merge(rules));
  const key = rules.map(({ document }) => document.order).join(' ');
  const known = merged.get(key);
  if (known !== undefined) return known;
  const policy = merge(rules);
  merged.set(key, policy);
  return policy;
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
