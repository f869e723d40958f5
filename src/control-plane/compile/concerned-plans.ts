import type { MeshService } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import type { RegisteredService } from '../registry/snapshot.js';
import type { ClusterPlan } from './clusters.js';
import { type Labels, pairsIn } from './label-index.js';
import { isOfMembers, labelSetsOf } from './pods.js';

interface PlanIndex {
  /** By namespace and name of the service. */
  readonly byName: ReadonlyMap<string, readonly ClusterPlan[]>;
  /** By namespace and one label of the selector; the label is empty where the selector is. */
  readonly bySelector: ReadonlyMap<string, readonly ClusterPlan[]>;
  /** Those with a selector, by namespace. */
  readonly selecting: ReadonlyMap<string, readonly ClusterPlan[]>;
}

const indexes = new WeakMap<readonly ClusterPlan[], PlanIndex>();

/** The clusters whose endpoints may be others after something registered, or went. */
export function concernedPlans(
  plans: readonly ClusterPlan[],
  changed: readonly RegisteredService[],
): ReadonlySet<ClusterPlan> {
  let index = indexes.get(plans);
  if (index === undefined) {
    index = indexOf(plans);
    indexes.set(plans, index);
  }
  const concerned = new Set<ClusterPlan>();
  for (const one of changed) for (const plan of concernedBy(one, index)) concerned.add(plan);
  return concerned;
}

function* concernedBy(one: RegisteredService, index: PlanIndex): Generator<ClusterPlan> {
  const { namespace, service } = one;
  // Their labels are those of their group, too.
  if (isOfMembers(one)) yield* index.selecting.get(namespace) ?? [];
  yield* index.byName.get(`${namespace} ${service}`) ?? [];
  const sets = labelSetsOf(one);
  for (const label of new Set(['', ...sets.flatMap(pairsIn)])) {
    for (const plan of index.bySelector.get(`${namespace} ${label}`) ?? []) {
      if (sets.some((labels) => selects(selectorOf(plan.service), labels))) yield plan;
    }
  }
}

function indexOf(plans: readonly ClusterPlan[]): PlanIndex {
  const byName = new Map<string, ClusterPlan[]>();
  const bySelector = new Map<string, ClusterPlan[]>();
  const selecting = new Map<string, ClusterPlan[]>();
  for (const plan of plans) {
    const { namespace, source } = plan.service;
    // Who registers under a service's name serves it, without any selector.
    if (source.kind !== 'entry') push(byName, `${namespace} ${source.name}`, plan);
    const selector = selectorOf(plan.service);
    if (selector === undefined) continue;
    push(bySelector, `${namespace} ${pairsIn(selector)[0] ?? ''}`, plan);
    push(selecting, namespace, plan);
  }
  return { byName, bySelector, selecting };
}

function push(map: Map<string, ClusterPlan[]>, key: string, plan: ClusterPlan): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [plan]);
  else known.push(plan);
}

function selectorOf({ source }: MeshService): Labels | undefined {
  if (source.kind === 'implied') return undefined;
  if (source.kind === 'kubernetes') return source.spec.selector;
  const { workloadSelector } = source.spec;
  return workloadSelector && (workloadSelector.labels ?? {});
}
