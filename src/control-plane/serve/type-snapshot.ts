import type { EncodedResource } from './encoded-resource.js';
import type { Interest } from './interest.js';
import { createPlan, type Plan, type Shelf } from './plan.js';
import type { ResourceEncoder, ServedType } from './resources.js';

type Resources = ReadonlyMap<string, object>;

/** Beyond that many the oldest is worked out again when it is needed. */
const MAX_PLANS = 2_000;

/**
 * The resources of one type at one moment, shared by all clients of a profile, with everything that was worked out from
 * them: what to send to a client that was told an older snapshot is computed for the first such client only.
 */
export class TypeSnapshot implements Shelf {
  readonly id: number;
  readonly type: ServedType;
  readonly resources: Resources;
  readonly #encoder: ResourceEncoder;
  readonly #plans = new Map<string, Plan>();

  constructor(id: number, type: ServedType, resources: Resources, encoder: ResourceEncoder) {
    this.id = id;
    this.type = type;
    this.resources = resources;
    this.#encoder = encoder;
  }

  get(name: string): EncodedResource | undefined {
    const resource = this.resources.get(name);
    return resource === undefined ? undefined : this.#encoder.encode(this.type, name, resource);
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
  readonly #empty = new Map<ServedType, TypeSnapshot>();
  #ids = 0;

  constructor(encoder: ResourceEncoder) {
    this.#encoder = encoder;
  }

  of(type: ServedType, resources: Resources): TypeSnapshot {
    if (resources.size === 0) return this.empty(type);
    let known = this.#known.get(type);
    if (known === undefined) {
      known = new WeakMap();
      this.#known.set(type, known);
    }
    let snapshot = known.get(resources);
    if (snapshot === undefined) {
      snapshot = new TypeSnapshot(++this.#ids, type, resources, this.#encoder);
      known.set(resources, snapshot);
    }
    return snapshot;
  }

  /** The snapshot with nothing in it. */
  empty(type: ServedType): TypeSnapshot {
    let snapshot = this.#empty.get(type);
    if (snapshot === undefined) {
      snapshot = new TypeSnapshot(0, type, new Map(), this.#encoder);
      this.#empty.set(type, snapshot);
    }
    return snapshot;
  }
}
