import type { WireResource } from '../resources/resource-set.js';

type Secrets = ReadonlyMap<string, WireResource>;

/** Puts what is issued to a workload and what documents hold for it together; the same object for the same two. */
export class JoinedSecrets {
  readonly #known = new WeakMap<Secrets, WeakMap<Secrets, Secrets>>();

  of(issued: Secrets, own: Secrets): Secrets {
    if (own.size === 0) return issued;
    let byOwn = this.#known.get(issued);
    if (byOwn === undefined) {
      byOwn = new WeakMap();
      this.#known.set(issued, byOwn);
    }
    let both = byOwn.get(own);
    if (both === undefined) {
      // The workload's own certificate goes by its name whatever else is called so.
      both = new Map([...own, ...issued]);
      byOwn.set(own, both);
    }
    return both;
  }
}
