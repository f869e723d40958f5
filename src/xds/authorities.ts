import type { MeshError } from '../runtime/errors.js';
import { Authority, type AuthorityOptions, type ServerState } from './authority.js';
import type { DecodableType } from './protocol.js';
import { authorityOf, OLD_STYLE } from './resource-name.js';
import type { XdsServer } from './server.js';

/** What the authorities of a client work with. */
export interface AuthoritiesOptions extends Omit<AuthorityOptions, 'name' | 'servers' | 'onState'> {
  /** Of names of the old style. */
  readonly servers: readonly XdsServer[];
  /** Of xdstp names. */
  readonly authorities?: ReadonlyMap<string, readonly XdsServer[]> | undefined;
  readonly onState: (authority: Authority, error: MeshError | undefined) => void;
}

/** Who answers for which name. */
export class Authorities {
  /** Answers for names of the old style. */
  readonly primary: Authority;
  /** Whether there is no other than the primary one. */
  readonly isSingle: boolean;
  readonly #byName = new Map<string, Authority>();
  readonly #wants = new Map<DecodableType, ReadonlySet<string>>();
  #isStarted = false;

  constructor({ servers, authorities, ...options }: AuthoritiesOptions) {
    this.primary = new Authority({ ...options, name: OLD_STYLE, servers });
    this.#byName.set(OLD_STYLE, this.primary);
    for (const [name, own] of authorities ?? []) {
      // gRFC A47: an authority without servers of its own uses those of the top level.
      const list = own.length > 0 ? own : servers;
      this.#byName.set(name, new Authority({ ...options, name, servers: list }));
    }
    this.isSingle = this.#byName.size === 1;
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  /** The servers that are connected to, or tried. */
  states(): readonly ServerState[] {
    return [...this.#byName.values()].flatMap((authority) => authority.states());
  }

  /** The authority of a name; undefined when nobody answers for it. */
  of(name: string): Authority | undefined {
    const authority = authorityOf(name);
    return authority === undefined ? undefined : this.#byName.get(authority);
  }

  /** Connects, and asks for all that was subscribed to. */
  start(): void {
    this.#isStarted = true;
    for (const [type, names] of this.#wants) this.#distribute(type, names);
    this.primary.connect();
  }

  /** Replaces the names of a type. */
  subscribe(type: DecodableType, names: ReadonlySet<string>): void {
    this.#wants.set(type, names);
    if (this.#isStarted) this.#distribute(type, names);
  }

  /** Asks for everything of a type again. */
  refresh(typeUrl: string): void {
    for (const authority of this.#byName.values()) authority.refresh(typeUrl);
  }

  #distribute(type: DecodableType, names: ReadonlySet<string>): void {
    for (const [name, own] of this.#split(names)) this.#byName.get(name)?.subscribe(type, own);
  }

  /** The names of each authority. */
  #split(names: ReadonlySet<string>): ReadonlyMap<string, ReadonlySet<string>> {
    const parts = new Map<string, Set<string>>();
    for (const name of this.#byName.keys()) parts.set(name, new Set());
    for (const name of names) {
      const authority = authorityOf(name);
      if (authority !== undefined) parts.get(authority)?.add(name);
    }
    return parts;
  }
}
