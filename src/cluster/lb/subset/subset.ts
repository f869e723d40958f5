import type { SubsetPolicy } from '../../../model/lb-policy.js';
import type { Host } from '../../host.js';
import { eligibility, type HostSet, type LocalityHosts } from '../../host-set.js';
import type { Balancer, PickContext, Picker } from '../load-balancer.js';

/** A host with its place in the cluster. */
export interface Member {
  readonly host: Host;
  /** Place among all hosts of the cluster. */
  index: number;
  priority: number;
  /** Place of its locality in the priority. */
  locality: number;
}

/** What subsets of one cluster have in common. */
export interface SubsetScope {
  readonly policy: SubsetPolicy;
  /** The hosts of the cluster now. */
  sets: readonly HostSet[];
  /** Makes the policy that chooses within one subset. */
  readonly createChild: () => Balancer;
}

/** Hosts that are balanced for themselves: Envoy sees each subset as a cluster of its own, with its own panic. */
export interface Subset {
  readonly members: Set<Member>;
  /** The hosts changed: the next pick prepares the choice anew. */
  touch(): void;
  pick(context: PickContext, attempt: number): Host | undefined;
  /** No connection to a host could be made. */
  unreachable(host: Host): void;
  close(): void;
}

/** A subset of a cluster. It is prepared when somebody asks for it, and again when its own hosts changed. */
export class HostSubset implements Subset {
  readonly members = new Set<Member>();
  readonly #scope: SubsetScope;
  readonly #setsOf: (scope: SubsetScope, members: ReadonlySet<Member>) => readonly HostSet[];
  #child: Balancer | undefined;
  #picker: Picker | undefined;

  constructor(scope: SubsetScope, setsOf: typeof setsOfMembers = setsOfMembers) {
    this.#scope = scope;
    this.#setsOf = setsOf;
  }

  touch(): void {
    this.#picker = undefined;
  }

  pick(context: PickContext, attempt: number): Host | undefined {
    this.#picker ??= this.#prepare();
    return this.#picker(context, attempt);
  }

  unreachable(host: Host): void {
    this.#child?.unreachable?.(host);
  }

  close(): void {
    this.#child?.close?.();
  }

  #prepare(): Picker {
    this.#child ??= this.#scope.createChild();
    return this.#child.picker(this.#setsOf(this.#scope, this.members));
  }
}

/** A subset that is one host. Envoy: the first of the first priority, whatever its health. */
export class SingleHostSubset implements Subset {
  readonly members = new Set<Member>();
  #host: Host | undefined;

  touch(): void {
    this.#host = undefined;
  }

  pick(): Host | undefined {
    this.#host ??= inOrder(this.members)[0]?.host;
    return this.#host;
  }

  unreachable(): void {}

  close(): void {}
}

/** The members by priority, locality and health, as the cluster's own hosts are. */
export function setsOfMembers(scope: SubsetScope, members: ReadonlySet<Member>): readonly HostSet[] {
  const places = scope.sets.map(({ localities }) => localities.map((): Host[] => []));
  for (const { host, priority, locality } of inOrder(members)) places[priority]?.[locality]?.push(host);
  const isWeightless = scope.policy.localityWeightAware ? undefined : true;
  return scope.sets.map((set, priority) => {
    const localities = set.localities.map(
      (one, i): LocalityHosts => withHosts(one, places[priority]?.[i] ?? [], scope.policy),
    );
    return { ...set, ...eligibility(localities.flatMap(({ hosts }) => hosts)), localities, isWeightless };
  });
}

/** All hosts of the cluster. */
export function wholeSets({ sets, policy }: SubsetScope): readonly HostSet[] {
  if (policy.localityWeightAware) return sets;
  return sets.map((set) => ({
    ...set,
    isWeightless: true,
    localities: set.localities.map((one) => ({ ...one, weight: 0 })),
  }));
}

/** Envoy: a subset that does not know of weights has none. */
function withHosts(
  { locality, weight, hosts: all }: LocalityHosts,
  hosts: readonly Host[],
  { localityWeightAware, scaleLocalityWeight }: SubsetPolicy,
): LocalityHosts {
  const scaled =
    scaleLocalityWeight && all.length > 0 ? Math.round((weight * hosts.length) / all.length) : weight;
  return { locality, weight: localityWeightAware ? scaled : 0, ...eligibility(hosts) };
}

function inOrder(members: ReadonlySet<Member>): readonly Member[] {
  return [...members].sort((a, b) => a.index - b.index);
}
