import type { EncodedResource } from './encoded-resource.js';
import { type Interest, type InterestTable, NOTHING } from './interest.js';
import type { Plan } from './plan.js';
import type { ServedType } from './resources.js';
import { blamed } from './blame.js';
import type { TypeSnapshot } from './type-snapshot.js';

/** What a client should have of one type: the resources of its profile, and its own. */
export interface Target {
  readonly shared: TypeSnapshot;
  readonly own: TypeSnapshot;
  readonly isOwnInWildcard: boolean;
}

/** A response that was sent and not answered yet. */
export interface Outstanding {
  readonly sequence: number;
  readonly nonce: string;
  readonly version: string;
  readonly atMs: number;
  readonly resources: readonly EncodedResource[];
}

/** A resource that the client refused. */
export interface Refusal {
  /** Hash of what it refused. */
  readonly hash: string;
  readonly error: string;
  /** Calendar time in milliseconds. */
  readonly atMs: number;
  /** What came with it: a client may have refused the whole response for one bad resource. */
  readonly response: readonly EncodedResource[];
}

/** What is to be told next. */
export interface Due {
  /** Of the profile's resources. */
  readonly plan: Plan;
  /** New or changed ones of the client's own. */
  readonly own: readonly EncodedResource[];
  /** Own ones that are gone. */
  readonly ownRemoved: readonly string[];
  /** Named expressly, and not there. */
  readonly absent: readonly string[];
}

/** Responses without an answer that are remembered: a client that never answers must not cost memory for ever. */
const MAX_OUTSTANDING = 64;

/**
 * What one client was told of one type, what it made of it, and what it asks for. References into what all clients
 * share: a client that has what it should have costs a few words, not a map of names.
 */
export class Ledger {
  readonly type: ServedType;
  #interest: Interest = NOTHING;
  #told: Target;
  #asked: Interest = NOTHING;
  readonly #nothing: Target;
  #outstanding: readonly Outstanding[] = [];
  #refused: Map<string, Refusal> | undefined;
  /** Gone, but the client was not told yet: something that it has may still name them. */
  #kept: Map<string, EncodedResource> | undefined;
  #sent: string | undefined;
  #accepted: string | undefined;
  #error: string | undefined;

  constructor(type: ServedType, empty: TypeSnapshot) {
    this.type = type;
    this.#nothing = { shared: empty, own: empty, isOwnInWildcard: false };
    this.#told = this.#nothing;
  }

  /** What the client asks for now. */
  get interest(): Interest {
    return this.#interest;
  }

  get outstanding(): readonly Outstanding[] {
    return this.#outstanding;
  }

  get refused(): ReadonlyMap<string, Refusal> {
    return this.#refused ?? NO_REFUSALS;
  }

  get kept(): ReadonlyMap<string, EncodedResource> {
    return this.#kept ?? NO_KEPT;
  }

  get sentVersion(): string | undefined {
    return this.#sent;
  }

  get acceptedVersion(): string | undefined {
    return this.#accepted;
  }

  get error(): string | undefined {
    return this.#error;
  }

  /** How many resources the client was told of. */
  get toldCount(): number {
    const whole = this.#told.shared.planFrom(this.#nothing.shared, NOTHING, this.#asked);
    const own = [...this.#told.own.resources.keys()];
    const ownCount = own.filter((name) => this.#coversOwn(this.#asked, this.#told, name)).length;
    return whole.resources.length + ownCount + this.kept.size;
  }

  /** The client asks for something else. What it gave up it no longer holds, also when it wants it again. */
  ask(interest: Interest, table: InterestTable): void {
    this.#interest = interest;
    const { isWildcard, names } = this.#asked;
    if (this.#asked === interest) return;
    const held = [...names].filter((name) => interest.names.has(name));
    if (held.length < names.size || (isWildcard && !interest.isWildcard))
      this.#asked = table.intern(isWildcard && interest.isWildcard, new Set(held));
  }

  /** The client holds nothing (any more). */
  forget(): void {
    this.#told = this.#nothing;
    this.#asked = NOTHING;
    this.#kept = undefined;
  }

  /** What the client has to hear. */
  due(target: Target): Due {
    const { interest } = this;
    const plan = target.shared.planFrom(this.#told.shared, this.#asked, interest);
    const own: EncodedResource[] = [];
    const ownRemoved: string[] = [];
    if (target.own.resources.size + this.#told.own.resources.size > 0)
      this.#lookAtOwn(target, own, ownRemoved);
    const absent =
      target.own.resources.size === 0
        ? plan.absent
        : plan.absent.filter((name) => !target.own.resources.has(name));
    return { plan, own, ownRemoved, absent };
  }

  /** Everything the client should have. */
  whole(target: Target): { readonly plan: Plan; readonly own: readonly EncodedResource[] } {
    const plan = target.shared.planFrom(this.#nothing.shared, NOTHING, this.interest);
    const own: EncodedResource[] = [];
    for (const name of target.own.resources.keys()) {
      const resource = this.#coversOwn(this.interest, target, name) ? target.own.get(name) : undefined;
      if (resource !== undefined) own.push(resource);
    }
    return { plan, own };
  }

  /** A resource that the client was told of. */
  told(name: string): EncodedResource | undefined {
    return this.#told.own.get(name) ?? this.#told.shared.get(name);
  }

  /** The client was told everything of the target; what is gone is kept for later, or forgotten. */
  advance(target: Target, due: Due, keepsRemoved: boolean): void {
    if (keepsRemoved) {
      for (const name of [...due.plan.removed, ...due.ownRemoved]) {
        const resource = this.told(name);
        if (resource !== undefined) (this.#kept ??= new Map()).set(name, resource);
      }
    }
    this.#told = target;
    this.#asked = this.interest;
    if (this.#kept === undefined) return;
    for (const name of this.#kept.keys()) {
      const isWanted = this.interest.isWildcard || this.interest.names.has(name);
      if (!isWanted || target.shared.resources.has(name) || target.own.resources.has(name))
        this.#kept.delete(name);
    }
    if (!keepsRemoved || this.#kept.size === 0) this.#kept = undefined;
  }

  /** A response goes out. */
  sent(response: Outstanding): void {
    this.#sent = response.version;
    this.#outstanding = [...this.#outstanding, response].slice(-MAX_OUTSTANDING);
  }

  /** The client answered a response. False when it is none that waits for an answer. */
  answered(nonce: string, error: string | undefined, atMs: number): boolean {
    const response = this.#outstanding.find((one) => one.nonce === nonce);
    if (response === undefined) return false;
    this.#outstanding = this.#outstanding.filter((one) => one !== response);
    if (error === undefined) this.#accept(response);
    else this.#refuse(response, error, atMs);
    return true;
  }

  /** Forgets refusals that no longer matter. Gives what has to be sent again, now that its neighbours are mended. */
  mended(target: Target): readonly string[] {
    if (this.#refused === undefined) return [];
    const again = new Set<string>();
    for (const [name, { hash, response }] of this.#refused) {
      const now = target.own.get(name) ?? target.shared.get(name);
      if (now?.hash === hash && (this.interest.isWildcard || this.interest.names.has(name))) continue;
      this.#refused.delete(name);
      for (const one of response) again.add(one.name);
    }
    for (const name of this.#refused.keys()) again.delete(name);
    if (this.#refused.size === 0) this.#refused = undefined;
    return [...again];
  }

  #accept({ version, resources }: Outstanding): void {
    this.#accepted = version;
    if (this.#refused !== undefined) {
      for (const { name } of resources) this.#refused.delete(name);
      if (this.#refused.size === 0) this.#refused = undefined;
    }
    if (this.#refused === undefined) this.#error = undefined;
  }

  #refuse({ resources }: Outstanding, error: string, atMs: number): void {
    this.#error = error;
    const bad = blamed(resources, error);
    for (const { name, hash } of bad) {
      (this.#refused ??= new Map()).set(name, { hash, error, atMs, response: resources });
    }
  }

  #lookAtOwn(target: Target, changed: EncodedResource[], removed: string[]): void {
    const { own } = target;
    for (const name of own.resources.keys()) {
      if (!this.#coversOwn(this.interest, target, name)) continue;
      const isNewlyNamed = this.interest.names.has(name) && !this.#asked.names.has(name);
      const before = this.#coversOwn(this.#asked, this.#told, name) ? this.#told.own.get(name) : undefined;
      const now = own.get(name);
      if (now !== undefined && (isNewlyNamed || before?.hash !== now.hash)) changed.push(now);
    }
    for (const name of this.#told.own.resources.keys()) {
      const knew = this.#coversOwn(this.#asked, this.#told, name);
      const isWanted = this.#coversOwn(this.interest, this.#told, name);
      if (knew && isWanted && !own.resources.has(name)) removed.push(name);
    }
  }

  #coversOwn(interest: Interest, { isOwnInWildcard }: Target, name: string): boolean {
    return interest.names.has(name) || (interest.isWildcard && isOwnInWildcard);
  }
}

const NO_REFUSALS: ReadonlyMap<string, Refusal> = new Map();
const NO_KEPT: ReadonlyMap<string, EncodedResource> = new Map();
