import { blamed } from './blame.js';
import type { EncodedResource } from './encoded-resource.js';
import { type Interest, type InterestTable, NOTHING } from './interest.js';
import type { Plan } from './plan.js';
import type { ServedType } from './resources.js';
import type { TypeSnapshot } from './type-snapshot.js';

/** What a client should have of one type. */
export interface Target {
  /** The resources of its profile. */
  readonly shared: TypeSnapshot;
  /** What it gets because it asks for the name. */
  readonly own: ReadonlyMap<string, EncodedResource>;
}

/** A response that was sent and not answered yet. */
export interface Outstanding {
  readonly sequence: number;
  readonly nonce: string;
  readonly version: string;
  readonly atMs: number;
  readonly resources: readonly EncodedResource[];
  /** Names told to be gone, or absent. */
  readonly removed: readonly string[];
}

/** What a client was told of at some moment. */
interface Told {
  readonly target: Target;
  readonly asked: Interest;
}

interface Sent extends Outstanding {
  readonly told: Told;
}

/** A resource that the client refused. */
export interface Refusal {
  /** Hash of what it refused. */
  readonly hash: string;
  readonly error: string;
  /** Calendar time in milliseconds. */
  readonly atMs: number;
  /** Names it came with: a client may have refused the whole response for one bad resource. */
  readonly company: ReadonlySet<string>;
  /** What the client had of the name before, and has still. */
  readonly held: EncodedResource | undefined;
}

/** What is to be told next. */
export interface Due {
  /** Of the profile's resources. */
  readonly plan: Plan;
  /** New or changed ones of the client's own. */
  readonly own: readonly EncodedResource[];
  readonly removed: readonly string[];
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
  /** What it was told of last and has taken, all of it but what it refused. */
  #taken: Told;
  #asked: Interest = NOTHING;
  readonly #nothing: Target;
  #outstanding: readonly Sent[] = [];
  #refused: Map<string, Refusal> | undefined;
  /** Came in a refused response with something bad that is mended now. */
  #again: Set<string> | undefined;
  /** Gone, but the client was not told yet: something that it has may still name them. */
  #kept: Map<string, EncodedResource> | undefined;
  #sent: string | undefined;
  #accepted: string | undefined;
  #error: string | undefined;

  constructor(type: ServedType, empty: TypeSnapshot) {
    this.type = type;
    this.#nothing = { shared: empty, own: NO_RESOURCES };
    this.#told = this.#nothing;
    this.#taken = { target: this.#nothing, asked: NOTHING };
  }

  /** What the client asks for now. */
  get interest(): Interest {
    return this.#interest;
  }

  /** What the client asked for when it was told last. */
  get asked(): Interest {
    return this.#asked;
  }

  /** Something has to be sent again that came with what was bad. */
  get hasRepeats(): boolean {
    return this.#again !== undefined;
  }

  get outstanding(): readonly Outstanding[] {
    return this.#outstanding;
  }

  get refused(): ReadonlyMap<string, Refusal> {
    return this.#refused ?? NO_REFUSALS;
  }

  get kept(): ReadonlyMap<string, EncodedResource> {
    return this.#kept ?? NO_RESOURCES;
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
    return this.#wholeTold.resources.length + this.#told.own.size + this.kept.size;
  }

  /** What the client holds of its profile's resources, as far as it answered and took them. */
  get held(): readonly EncodedResource[] {
    if (this.#outstanding.length > 0) return [];
    const { resources } = this.#wholeTold;
    const { refused } = this;
    const own = [...this.#told.own.values(), ...this.kept.values()];
    if (refused.size + own.length === 0) return resources;
    return [...resources, ...own].filter(({ name }) => !refused.has(name));
  }

  /** What the client was told of. */
  *toldResources(): Generator<EncodedResource> {
    yield* this.#wholeTold.resources;
    yield* this.#told.own.values();
    yield* this.kept.values();
  }

  /** Names of all that the client may hold: what it was told of, and what is on its way. */
  *maybeHeld(): Generator<string> {
    for (const { name } of this.toldResources()) yield name;
    for (const { resources } of this.#outstanding) for (const { name } of resources) yield name;
  }

  /** Names that the client asks for in vain. */
  toldAbsent(): readonly string[] {
    return this.#wholeTold.absent.filter((name) => !this.#told.own.has(name));
  }

  /** The client asks for something else. What it gave up it no longer holds, also when it wants it again. */
  ask(interest: Interest, table: InterestTable): void {
    this.#interest = interest;
    this.giveUp(interest.isWildcard, interest.names, table);
  }

  /** The client gave up, for a moment at least, what is not among the names: it no longer holds it. */
  giveUp(keepsWildcard: boolean, kept: ReadonlySet<string>, table: InterestTable): void {
    const { isWildcard, names } = this.#asked;
    if (names === kept && isWildcard === keepsWildcard) return;
    const held = [...names].filter((name) => kept.has(name));
    if (held.length < names.size || (isWildcard && !keepsWildcard))
      this.#asked = table.intern(isWildcard && keepsWildcard, new Set(held));
  }

  /** The client holds nothing (any more). */
  forget(): void {
    this.#told = this.#nothing;
    this.#taken = { target: this.#nothing, asked: NOTHING };
    this.#asked = NOTHING;
    this.#kept = undefined;
  }

  /** What the client has to hear. */
  due(target: Target): Due {
    const { interest } = this;
    const plan = target.shared.planFrom(this.#told.shared, this.#asked, interest);
    const { own } = target;
    if (own.size + this.#told.own.size === 0)
      return { plan, own: [], removed: plan.removed, absent: plan.absent };
    const isAsked = (name: string) => interest.names.has(name) && this.#asked.names.has(name);
    const changed = [...own.values()].filter(
      ({ name, hash }) => !isAsked(name) || this.#told.own.get(name)?.hash !== hash,
    );
    const ownRemoved = [...this.#told.own.keys()].filter(
      (name) => isAsked(name) && !own.has(name) && !target.shared.resources.has(name),
    );
    return {
      plan,
      own: changed,
      removed: [...plan.removed.filter((name) => !own.has(name)), ...ownRemoved],
      absent: plan.absent.filter((name) => !own.has(name)),
    };
  }

  /** Everything of its profile that the client should have. `absent` are the names that its profile does not have. */
  whole({ shared }: Target): Plan {
    return shared.planFrom(this.#nothing.shared, NOTHING, this.interest);
  }

  /** A resource that the client was told of. */
  told(name: string): EncodedResource | undefined {
    return this.#told.own.get(name) ?? this.#told.shared.get(name);
  }

  /** The client was told everything of the target; what is gone is kept for later, or forgotten. */
  advance(target: Target, due: Due, keepsRemoved: boolean): void {
    if (keepsRemoved) {
      for (const name of due.removed) {
        const resource = this.told(name);
        if (resource === undefined) continue;
        this.#kept ??= new Map();
        this.#kept.set(name, resource);
      }
    }
    this.#told = target;
    this.#asked = this.interest;
    if (this.#kept === undefined) return;
    for (const name of this.#kept.keys()) {
      if (!this.#wants(name) || isThere(target, name)) this.#kept.delete(name);
    }
    if (!keepsRemoved || this.#kept.size === 0) this.#kept = undefined;
  }

  /** The client has everything without having been sent it: it brought it. */
  confirm(version: string): void {
    this.#sent = version;
    this.#accepted = version;
  }

  /** A response goes out. */
  sent(response: Outstanding): void {
    this.#sent = response.version;
    const sent = { ...response, told: { target: this.#told, asked: this.#asked } };
    this.#outstanding = [...this.#outstanding, sent].slice(-MAX_OUTSTANDING);
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
    for (const [name, { hash }] of this.refused) {
      const now = target.own.get(name) ?? target.shared.get(name);
      if (now?.hash !== hash || !this.#wants(name)) this.#settle(name);
    }
    // What the client gave up meanwhile is none of its business any more.
    const again = [...(this.#again ?? [])].filter((name) => !this.refused.has(name) && this.#wants(name));
    this.#again = undefined;
    return again;
  }

  /** A refusal is over. A client may have refused the whole response for it: what came with it is sent again. */
  #settle(name: string): void {
    const refusal = this.#refused?.get(name);
    if (this.#refused === undefined || refusal === undefined) return;
    this.#refused.delete(name);
    if (this.#refused.size === 0) {
      this.#refused = undefined;
      this.#error = undefined;
    }
    this.#again ??= new Set();
    for (const one of refusal.company) if (one !== name) this.#again.add(one);
  }

  #wants(name: string): boolean {
    return this.interest.isWildcard || this.interest.names.has(name);
  }

  get #wholeTold(): Plan {
    return this.#told.shared.planFrom(this.#nothing.shared, NOTHING, this.#asked);
  }

  /** What the client had of a name before all that it has not answered or has refused. */
  heldBefore(name: string): EncodedResource | undefined {
    const refusal = this.refused.get(name);
    if (refusal !== undefined) return refusal.held;
    const { target, asked } = this.#taken;
    if (!asked.isWildcard && !asked.names.has(name)) return undefined;
    return target.own.get(name) ?? target.shared.get(name);
  }

  #accept({ version, resources, told }: Sent): void {
    this.#accepted = version;
    // A response may be one of several parts: what they tell of is taken when all are.
    if (!this.#outstanding.some((one) => one.told.target === told.target)) this.#taken = told;
    for (const { name } of resources) this.#settle(name);
    for (const { name } of resources) this.#again?.delete(name);
    if (this.#refused === undefined) this.#error = undefined;
  }

  #refuse({ resources, removed }: Sent, error: string, atMs: number): void {
    this.#error = error;
    const bad = blamed(resources, error);
    const company = new Set([...resources.map(({ name }) => name), ...removed]);
    for (const { name } of bad) {
      for (const one of this.#refused?.get(name)?.company ?? []) company.add(one);
    }
    for (const { name, hash } of bad) {
      const before = this.heldBefore(name);
      // What it refuses it has not; of what it had before that, nothing is known.
      const held = before?.hash === hash ? undefined : before;
      this.#refused ??= new Map();
      this.#refused.set(name, { hash, error, atMs, company, held });
    }
  }
}

/** Whether there is something of a name. */
export function isThere({ shared, own }: Target, name: string): boolean {
  return shared.resources.has(name) || own.has(name);
}

const NO_REFUSALS: ReadonlyMap<string, Refusal> = new Map();
const NO_RESOURCES: ReadonlyMap<string, EncodedResource> = new Map();
