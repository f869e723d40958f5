import { WeakMemo } from '../../runtime/weak-memo.js';
import type { MeshService } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import type { RegisteredService, RegistrySnapshot } from '../registry/snapshot.js';
import type { ClusterPlan } from './clusters.js';
import { type Labels, pairsIn } from './label-index.js';
import { isOfMembers, labelSetsOf } from './pods.js';

/** Those of something about services that the workloads of a name may serve. */
class ServedIndex<T> {
  readonly #serviceOf: (one: T) => MeshService;
  /** By namespace and name of the service. */
  readonly #byName = new Map<string, T[]>();
  /** By namespace and one label of the selector; the label is empty where the selector is. */
  readonly #bySelector = new Map<string, T[]>();
  /** Those with a selector, by namespace. */
  readonly #selecting = new Map<string, T[]>();

  constructor(all: Iterable<T>, serviceOf: (one: T) => MeshService) {
    this.#serviceOf = serviceOf;
    for (const one of all) {
      const service = serviceOf(one);
      const { namespace, source } = service;
      // Who registers under a service's name serves it, without any selector.
      if (source.kind !== 'entry') push(this.#byName, `${namespace} ${source.name}`, one);
      const selector = selectorOf(service);
      if (selector === undefined) continue;
      push(this.#bySelector, `${namespace} ${pairsIn(selector)[0] ?? ''}`, one);
      push(this.#selecting, namespace, one);
    }
  }

  concernedBy(changed: readonly RegisteredService[]): ReadonlySet<T> {
    const concerned = new Set<T>();
    for (const registered of changed) for (const one of this.#servedBy(registered)) concerned.add(one);
    return concerned;
  }

  *#servedBy(registered: RegisteredService): Generator<T> {
    const { namespace, service } = registered;
    // Their labels are those of their group, too.
    if (isOfMembers(registered)) yield* this.#selecting.get(namespace) ?? [];
    yield* this.#byName.get(`${namespace} ${service}`) ?? [];
    const sets = labelSetsOf(registered);
    for (const label of new Set(['', ...sets.flatMap(pairsIn)])) {
      for (const one of this.#bySelector.get(`${namespace} ${label}`) ?? []) {
        if (sets.some((labels) => selects(selectorOf(this.#serviceOf(one)), labels))) yield one;
      }
    }
  }
}

const ofPlans = new WeakMemo<ServedIndex<ClusterPlan>>();
const ofServices = new WeakMemo<ServedIndex<MeshService>>();

/** The clusters whose endpoints may be others after something registered, or went. */
export function concernedPlans(
  plans: readonly ClusterPlan[],
  changed: readonly RegisteredService[],
): ReadonlySet<ClusterPlan> {
  return ofPlans.get([plans], () => new ServedIndex(plans, ({ service }) => service)).concernedBy(changed);
}

/** The services of whose instances some may be others after something registered, or went. */
export function concernedServices(
  services: ReadonlyMap<string, MeshService>,
  changed: readonly RegisteredService[],
): ReadonlySet<MeshService> {
  return ofServices
    .get([services], () => new ServedIndex(services.values(), (service) => service))
    .concernedBy(changed);
}

/** What registered of a snapshot is another in a later one, as it was and as it is. */
export function changedBetween(then: RegistrySnapshot, now: RegistrySnapshot): readonly RegisteredService[] {
  const changes = [...then.services.changesTo(now.services)];
  return changes.flatMap(([, before, after]) => [before, after]).filter((one) => one !== undefined);
}

function push<T>(map: Map<string, T[]>, key: string, one: T): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [one]);
  else known.push(one);
}

function selectorOf({ source }: MeshService): Labels | undefined {
  if (source.kind === 'implied') return undefined;
  if (source.kind === 'kubernetes') return source.spec.selector;
  const { workloadSelector } = source.spec;
  return workloadSelector && (workloadSelector.labels ?? {});
}
