import { any, type Json, stringsIn } from './json.js';
import { isComplete, type Short, TYPE_URLS } from './types.js';

/** A resource as it goes out. */
export interface Resource {
  readonly name: string;
  /** Grows with each change of this resource. */
  readonly version: string;
  readonly any: { readonly type_url: string; readonly value: Uint8Array };
}

type Fields = { readonly [key: string]: Json };

/** Servers have versions of their own: equal ones would mean equal resources. */
let worlds = 0;

/** What the server has: resources given as JSON, with a version for each and for each type. */
export class AdsWorld {
  readonly #types = new Map<Short, Map<string, Resource>>();
  readonly #versions = new Map<Short, number>();
  readonly #mentioned: Set<string>;
  readonly #id = ++worlds;
  #count = 0;

  constructor(mentioned: Set<string>) {
    this.#mentioned = mentioned;
  }

  /** Puts a resource; its own name field may be left out. */
  put(type: Short, name: string, fields: Fields): this {
    const nameField = type === 'EDS' ? 'cluster_name' : 'name';
    const json = { '@type': TYPE_URLS[type], [nameField]: name, ...fields };
    for (const text of stringsIn(json)) this.#mentioned.add(text);
    this.of(type).set(name, { name, version: `${this.#id}.${++this.#count}`, any: any(json) });
    return this.touch(type);
  }

  remove(type: Short, ...names: readonly string[]): this {
    for (const name of names) this.of(type).delete(name);
    return this.touch(type);
  }

  /** A new version of a type without a change in it. */
  touch(type: Short): this {
    this.#versions.set(type, (this.#versions.get(type) ?? 0) + 1);
    return this;
  }

  version(type: Short): string {
    return `${type.toLowerCase()}-${this.#id}.${this.#versions.get(type) ?? 0}`;
  }

  of(type: Short): Map<string, Resource> {
    let found = this.#types.get(type);
    if (found === undefined) {
      found = new Map();
      this.#types.set(type, found);
    }
    return found;
  }

  /** Those that a subscription wants; undefined = all there are. */
  wanted(type: Short, names: ReadonlySet<string> | undefined): Resource[] {
    return [...this.of(type).values()].filter(({ name }) => names === undefined || names.has(name));
  }
}

/** What a new version of a type brings: all of it, or what changed since the last one. */
export function changedSince(
  type: Short,
  wanted: readonly Resource[],
  sent: ReadonlyMap<string, string>,
): readonly Resource[] {
  return isComplete(type) ? wanted : wanted.filter(({ name, version }) => sent.get(name) !== version);
}
