/** What a client asked for of one type. Immutable, and one object for all clients that ask for the same. */
export interface Interest {
  readonly id: number;
  readonly isWildcard: boolean;
  /** Names asked for expressly; `*` is not among them. */
  readonly names: ReadonlySet<string>;
}

/** The wildcard of the xDS protocol. */
export const WILDCARD = '*';

/** Nobody asked for anything. */
export const NOTHING: Interest = { id: 0, isWildcard: false, names: new Set() };

/**
 * The interests of all clients. A thousand clients of one kind ask for the same thousand names: kept per client, the
 * sets alone would be most of a client's memory.
 */
export class InterestTable {
  readonly #known = new Map<string, WeakRef<Interest>>();
  readonly #forget = new FinalizationRegistry<string>((key) => {
    if (this.#known.get(key)?.deref() === undefined) this.#known.delete(key);
  });
  #ids = 0;

  /** The one object of an interest. The set must not be changed afterwards. */
  intern(isWildcard: boolean, names: ReadonlySet<string>): Interest {
    if (!isWildcard && names.size === 0) return NOTHING;
    const key = `${isWildcard ? '*' : ''}${names.size}:${digest(names)}`;
    const known = this.#known.get(key)?.deref();
    if (known !== undefined && isSame(known.names, names)) return known;
    const interest: Interest = { id: ++this.#ids, isWildcard, names };
    this.#known.set(key, new WeakRef(interest));
    this.#forget.register(interest, key);
    return interest;
  }
}

/** A sum over the names, whatever their order. Two sets may share it: equality is checked. */
function digest(names: Iterable<string>): number {
  let sum = 0;
  for (const name of names) {
    // FNV-1a
    let hash = 0x811c9dc5;
    for (let index = 0; index < name.length; index++) {
      hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
    }
    sum = (sum + hash) | 0;
  }
  return sum;
}

function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false;
  for (const name of a) if (!b.has(name)) return false;
  return true;
}
