import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import { isEqual } from '../../runtime/equal.js';
import { ShardedMap } from '../../runtime/sharded-map.js';
import { Pauses, Runs, type Steps } from '../../runtime/steps.js';
import type { ConfigView } from '../kinds/view.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import { changedBetween, concernedPlans, concernedServices } from './concerned-plans.js';
import { compileEndpoints, compileOutline, freshEndpoints, type OutlineInput } from './outline.js';
import { type OutlineBasis, OutlineMemory } from './outline-memory.js';
import type { CommonOutline } from './outlined.js';

/** What clients that have a common profile share at one moment. */
export interface Common {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  /** Grows with the services, versions and identities that are registered. */
  readonly shape: number;
  readonly outline: CommonOutline;
  readonly endpoints: ShardedMap<ClusterLoadAssignment>;
}

/** What the clients of one common profile share; follows documents and registry at the cost of what changes. */
export class CommonResources {
  readonly #memory = new OutlineMemory();
  readonly #runs = new Runs();
  #last: Common | undefined;
  /** The one that the memory was left with, be it that its endpoints were not made any more. */
  #outline: CommonOutline | undefined;

  /** May be left in a pause. */
  *at(input: OutlineInput, shape: number): Steps<Common> {
    // Who asks for what is there does not disturb who makes something else.
    return this.#there(input, shape) ?? (yield* this.#runs.take(() => this.#made(input, shape)));
  }

  #there({ view, registry }: OutlineInput, shape: number): Common | undefined {
    const last = this.#last;
    const isThere =
      last?.view === view && last.shape === shape && last.registry.services === registry.services;
    return isThere ? last : undefined;
  }

  *#made(input: OutlineInput, shape: number): Steps<Common> {
    const there = this.#there(input, shape);
    if (there !== undefined) return there;
    const { view, registry, config, profile } = input;
    const before = this.#last;
    const isCurrent = before?.view === view && before.shape === shape;
    const outline = isCurrent ? before.outline : yield* this.#outlineAt(input, { config, profile, shape });
    // Where clusters, and documents about endpoints, are the same, what registered decides alone.
    const canChange =
      before !== undefined &&
      outline.plans === before.outline.plans &&
      outline.ownEndpoints === before.outline.ownEndpoints &&
      this.#memory.endpointsHold(view);
    const endpoints = canChange
      ? yield* changeEndpoints(before, input)
      : before?.view === view && outline.ownEndpoints === before.outline.ownEndpoints
        ? yield* this.#endpointsAfter(before, outline, input)
        : yield* keepEndpoints(before, outline, yield* compileEndpoints(input, outline.plans, this.#memory));
    this.#last = { view, registry, shape, outline, endpoints };
    return this.#last;
  }

  /** The endpoints after workloads came and went, and some clusters with them, where no document did. */
  *#endpointsAfter(
    before: Common,
    outline: CommonOutline,
    input: OutlineInput,
  ): Steps<ShardedMap<ClusterLoadAssignment>> {
    const changed = changedBetween(before.registry, input.registry);
    const services = [...concernedServices(outline.services, changed)];
    const hosts = new Set(services.map(({ host }) => host));
    const [then, now] = [new Set(before.outline.plans), new Set(outline.plans)];
    const concerned = outline.plans.filter((plan) => hosts.has(plan.service.host) || !then.has(plan));
    const anew = yield* compileEndpoints(input, concerned, this.#memory, 'some');
    const changes = new Map<string, ClusterLoadAssignment | undefined>();
    for (const { cluster } of before.outline.plans.filter((plan) => !now.has(plan)))
      changes.set(cluster.name, outline.ownEndpoints?.get(cluster.name));
    for (const [name, one] of anew) {
      const old = before.endpoints.get(name);
      changes.set(name, isEqual(old, one) ? old : one);
    }
    const different = [...changes].filter(([name, one]) => before.endpoints.get(name) !== one);
    return different.length === 0 ? before.endpoints : before.endpoints.with(different);
  }

  *#outlineAt(input: OutlineInput, basis: OutlineBasis): Steps<CommonOutline> {
    if (this.#outline === undefined || !this.#memory.holds(input.view, basis))
      this.#outline = yield* compileOutline(input, basis, this.#memory);
    return this.#outline;
  }
}

/** The endpoints after workloads came and went, where no service, version or identity did. */
function* changeEndpoints(
  { registry: then, outline, endpoints }: Common,
  input: OutlineInput,
): Steps<ShardedMap<ClusterLoadAssignment>> {
  const changed = changedBetween(then, input.registry);
  if (changed.length === 0) return endpoints;
  const anew = yield* freshEndpoints(input, concernedPlans(outline.plans, changed));
  const different = [...anew].filter(([name, one]) => !isEqual(endpoints.get(name), one));
  return different.length === 0 ? endpoints : endpoints.with(different);
}

const NO_ENDPOINTS: ReadonlyMap<string, ClusterLoadAssignment> = new Map();

/** The endpoints of all clusters, and those that no instance decides; the old object wherever nothing changed. */
function* keepEndpoints(
  last: Common | undefined,
  { ownEndpoints = NO_ENDPOINTS }: CommonOutline,
  compiled: ReadonlyMap<string, ClusterLoadAssignment>,
): Steps<ShardedMap<ClusterLoadAssignment>> {
  const before = last?.endpoints;
  yield;
  const own = [...ownEndpoints].filter(([name]) => !compiled.has(name));
  if (before === undefined) return ShardedMap.from([...compiled, ...own]);
  const changes = new Map<string, ClusterLoadAssignment | undefined>();
  for (const name of before.keys()) {
    if (!compiled.has(name) && !ownEndpoints.has(name)) changes.set(name, undefined);
  }
  const pauses = new Pauses();
  for (const [name, one] of [...own, ...compiled]) {
    if (pauses.areDue()) yield;
    const old = before.get(name);
    if (old !== one && !isEqual(old, one)) changes.set(name, one);
  }
  return changes.size === 0 ? before : before.with(changes);
}
