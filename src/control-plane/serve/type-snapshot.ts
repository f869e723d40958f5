import type { ResourceSet } from '../resources/resource-set.js';
import type { EncodedResource } from './encoded-resource.js';
import type { Interest } from './interest.js';
import { createPlan, type Plan, type Shelf } from './plan.js';
import type { BrokenResource, ResourceEncoder, ServedType } from './resources.js';

type Resources = ReadonlyMap<string, object>;
type Encode = (name: string, resource: object) => EncodedResource | BrokenResource;

/** Beyond that many the oldest is worked out again when it is needed. */
const MAX_PLANS = 2_000;
const PAUSE_EVERY = 32;

/**
 * The resources of one type at one moment, shared by all clients of a profile, with everything that was worked out from
 * them: what to send to a client that was told an older snapshot is computed for the first such client only.
 */
export class TypeSnapshot implements Shelf {
  readonly id: number;
  readonly resources: Resources;
  readonly #encode: Encode;
  readonly #plans = new Map<string, Plan>();
  /** Interests whose resources are encoded. */
  readonly #warm = new Set<number>();

  constructor(id: number, resources: Resources, encode: Encode) {
    this.id = id;
    this.resources = resources;
    this.#encode = encode;
  }

  get(name: string): EncodedResource | undefined {
    const found = this.#find(name);
    return found === undefined || 'broken' in found ? undefined : found;
  }

  faultOf(name: string): string | undefined {
    const found = this.#find(name);
    return found !== undefined && 'broken' in found ? found.broken : undefined;
  }

  #find(name: string): EncodedResource | BrokenResource | undefined {
    const resource = this.resources.get(name);
    return resource === undefined ? undefined : this.#encode(name, resource);
  }

  /** Encodes what an interest covers, with pauses; the work is done once for all clients. */
  *warm({ id, isWildcard, names }: Interest): Generator<void> {
    if (this.#warm.has(id)) return;
    let count = 0;
    for (const name of isWildcard ? this.resources.keys() : names) {
      this.get(name);
      if (++count % PAUSE_EVERY === 0) yield;
    }
    if (this.#warm.size >= MAX_PLANS) this.#warm.clear();
    this.#warm.add(id);
  }

  /** What a client has to hear that asked for `asked` when it was told `told`, and now asks for `asks`. */
  planFrom(told: TypeSnapshot, asked: Interest, asks: Interest): Plan {
    const key = `${told.id} ${asked.id} ${asks.id}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      plan = createPlan({ told, asked }, { to: this, asks });
      this.#plans.set(key, plan);
      const [oldest] = this.#plans.keys();
      if (this.#plans.size > MAX_PLANS && oldest !== undefined) this.#plans.delete(oldest);
    }
    return plan;
  }
}

/** Finds the snapshot of a set of resources: one for each set, however many clients it goes out to. */
export class SnapshotTable {
  readonly #encoder: ResourceEncoder;
  readonly #known = new Map<ServedType, WeakMap<Resources, TypeSnapshot>>();
  /** The snapshot with nothing in it. */
  readonly empty = new TypeSnapshot(0, new Map(), nothingToEncode);
  #ids = 0;

  constructor(encoder: ResourceEncoder) {
    this.#encoder = encoder;
  }

  of(type: ServedType, set: ResourceSet): TypeSnapshot {
    const resources = type.resources(set);
    if (resources.size === 0) return this.empty;
    let known = this.#known.get(type);
    if (known === undefined) {
      known = new WeakMap();
      this.#known.set(type, known);
    }
    let snapshot = known.get(resources);
    if (snapshot === undefined) {
      const { encoders } = set;
      snapshot = new TypeSnapshot(++this.#ids, resources, (name, resource) =>
        this.#encoder.encode(type, name, resource, encoders),
      );
      known.set(resources, snapshot);
    }
    return snapshot;
  }

  /** A resource that is there for those only who ask for its name. */
  onDemand(type: ServedType, set: ResourceSet, name: string): EncodedResource | undefined {
    const resource = type.onDemand(set, name);
    if (resource === undefined) return undefined;
    const found = this.#encoder.encode(type, name, resource, set.encoders);
    return 'broken' in found ? undefined : found;
  }
}

function nothingToEncode(name: string): never {
  throw new TypeError(`there is no ${name}`);
}
