import type { Channel, Outcome, Outgoing, SendTools } from './channel.js';
import type { EncodedResource } from './encoded-resource.js';
import { type InterestTable, WILDCARD } from './interest.js';
import { type Due, isThere, type Ledger, type Outstanding, type Target } from './ledger.js';
import { type Plan, partsOf, planVersion } from './plan.js';
import { deltaHead, errorFields, removedFields } from './wire.js';

/** What of a delta request concerns one type. */
export interface DeltaRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Versions of what the client holds already; counts in the first request of a type only. */
  readonly initialVersions: Readonly<Record<string, string>>;
  readonly nonce: string;
  readonly error: string | undefined;
}

/** Delta: requests and responses have only what changes. */
export class DeltaChannel implements Channel {
  readonly ledger: Ledger;
  readonly #interests: InterestTable;
  #isFirst = true;
  #owesAnswer = false;
  /** Versions that the client brought, until it was told what differs. */
  #initial: Map<string, string> | undefined;
  /** Names that it may hold though it was not told of them since it asked for everything. */
  #doubted: Set<string> | undefined;
  /** Names that it must hear of though nothing changed. */
  #again: Set<string> | undefined;

  /** `greets`: its first request is answered in any case, so that the client hears whose server this is. */
  constructor(ledger: Ledger, interests: InterestTable, greets = false) {
    this.ledger = ledger;
    this.#interests = interests;
    this.#owesAnswer = greets;
  }

  get owesAnswer(): boolean {
    return this.#owesAnswer;
  }

  get hasNews(): boolean {
    return this.#owesAnswer || this.ledger.hasRepeats || this.ledger.interest !== this.ledger.asked;
  }

  /** Takes a request in. Returns what it says about the response that it answers. */
  receive(request: DeltaRequest, atMs: number): Outcome {
    const { subscribe, unsubscribe, nonce, error } = request;
    if (this.#isFirst) this.#begin(request);
    if (subscribe.length + unsubscribe.length > 0) this.#change(subscribe, unsubscribe);
    if (nonce === '') return 'subscribe';
    // xDS: in delta a nonce only tells which response is answered; what is subscribed to holds with any.
    if (!this.ledger.answered(nonce, error, atMs)) return 'stale';
    return error === undefined ? 'ack' : 'nack';
  }

  isDue(target: Target): boolean {
    if (this.#owesAnswer || this.ledger.kept.size > 0) return true;
    const due = this.ledger.due(target);
    const { resources, broken } = due.plan;
    return resources.length + broken.length + due.own.length + due.removed.length + due.absent.length > 0;
  }

  take(target: Target, tools: SendTools): readonly Outgoing[] {
    const { ledger } = this;
    const due = this.#withoutHeld(ledger.due(target));
    const repeated = this.#repeat(target, ledger.mended(target), due);
    const removed = this.#removed(target, due, tools);
    ledger.advance(target, due, tools.keepsRemoved);
    removed.push(...due.absent, ...repeated.absent);
    const extra = [...due.own, ...repeated.resources];
    const outgoing = this.#responses(target, { plan: due.plan, extra, removed }, tools);
    if (outgoing.length === 0 && this.#initial !== undefined) ledger.confirm(this.#version(target));
    this.#owesAnswer = false;
    this.#initial = undefined;
    this.#doubted = undefined;
    this.#again = undefined;
    return outgoing;
  }

  heartbeat(ttlMs: number, tools: Pick<SendTools, 'sequence' | 'nowMs'>): readonly Outgoing[] {
    const { type, held, sentVersion = '' } = this.ledger;
    const framing = type.framing({ protocol: 'delta', ttlMs, isHeartbeat: true });
    return partsOf(held, framing, false).map((part) =>
      this.#response(sentVersion, { resources: [] }, [part.fields()], tools),
    );
  }

  #begin({ subscribe, unsubscribe, initialVersions }: DeltaRequest): void {
    this.#isFirst = false;
    const versions = Object.entries(initialVersions);
    if (versions.length > 0) this.#initial = new Map(versions);
    const { type, interest } = this.ledger;
    // Legacy wildcard: the first request for LDS or CDS names nothing.
    const isLegacy = type.complete && subscribe.length + unsubscribe.length === 0;
    if (!isLegacy) return;
    this.ledger.ask(this.#interests.intern(true, interest.names), this.#interests);
    this.#owesAnswer = true;
  }

  #change(subscribe: readonly string[], unsubscribe: readonly string[]): void {
    const { interest } = this.ledger;
    let { isWildcard } = interest;
    const names = new Set(interest.names);
    for (const name of subscribe) {
      if (name === WILDCARD) {
        if (!this.ledger.type.hasWildcard) continue;
        // It may hold what it gave up and wants again, above all what was on its way to it meanwhile.
        this.#doubted = new Set(this.ledger.maybeHeld());
        // A client may have lost what it was told: a subscription that is made again is answered in full.
        if (isWildcard) this.ledger.forget();
        isWildcard = true;
        this.#owesAnswer = true;
      } else if (names.has(name)) this.#repeatLater(name);
      else names.add(name);
    }
    for (const name of unsubscribe) {
      if (name === WILDCARD) isWildcard = false;
      // Whether the wildcard means the name as well, only the server knows: the client has to be told.
      else if (names.delete(name) && isWildcard) this.#repeatLater(name);
    }
    this.#dropInitial(isWildcard, names);
    this.ledger.ask(this.#interests.intern(isWildcard, names), this.#interests);
  }

  /** What was given up is not held any more, though the client brought it and may want it again at once. */
  #dropInitial(isWildcard: boolean, names: ReadonlySet<string>): void {
    if (this.#initial === undefined || isWildcard) return;
    for (const name of this.#initial.keys()) if (!names.has(name)) this.#initial.delete(name);
  }

  #repeatLater(name: string): void {
    this.#again ??= new Set();
    this.#again.add(name);
    this.#owesAnswer = true;
  }

  /** Leaves out what the client brought in the same version. */
  #withoutHeld(due: Due): Due {
    const initial = this.#initial;
    if (initial === undefined) return due;
    const isNew = ({ name, hash }: EncodedResource) => initial.get(name) !== hash;
    const resources = due.plan.resources.filter(isNew);
    return { ...due, plan: { ...due.plan, resources }, own: due.own.filter(isNew) };
  }

  #removed(target: Target, due: Due, { keepsRemoved }: SendTools): string[] {
    const removed = new Set(keepsRemoved ? [] : [...due.removed, ...this.#gone(target)]);
    const { isWildcard, names } = this.ledger.interest;
    if (!isWildcard) return [...removed];
    for (const name of [...(this.#initial?.keys() ?? []), ...(this.#doubted ?? [])]) {
      if (!names.has(name) && !isThere(target, name)) removed.add(name);
    }
    return [...removed];
  }

  /** What was kept and has not come back. */
  #gone(target: Target): string[] {
    const { kept, interest } = this.ledger;
    return [...kept.keys()].filter(
      (name) => (interest.isWildcard || interest.names.has(name)) && !isThere(target, name),
    );
  }

  /** What has to be told once more. */
  #repeat(
    target: Target,
    mended: readonly string[],
    { plan, own, absent }: Due,
  ): { readonly resources: readonly EncodedResource[]; readonly absent: readonly string[] } {
    const names = new Set([...(this.#again ?? []), ...mended]);
    if (names.size === 0) return { resources: [], absent: [] };
    for (const { name } of [...plan.resources, ...own]) names.delete(name);
    for (const name of absent) names.delete(name);
    const found = [...names].map((name) => [name, lookUp(this.ledger, target, name)] as const);
    return {
      resources: found.flatMap(([, resource]) => resource ?? []),
      absent: found.filter(([, resource]) => resource === undefined).map(([name]) => name),
    };
  }

  #responses(
    target: Target,
    found: {
      readonly plan: Plan;
      readonly extra: readonly EncodedResource[];
      readonly removed: readonly string[];
    },
    tools: SendTools,
  ): readonly Outgoing[] {
    const { type } = this.ledger;
    const { plan, extra, removed } = found;
    const framing = type.framing({ protocol: 'delta', ttlMs: tools.ttlMs, isHeartbeat: false });
    const parts = partsOf(plan.resources, framing, false);
    const isEmpty = plan.resources.length + plan.broken.length + extra.length + removed.length === 0;
    if (isEmpty && !this.#owesAnswer) return [];
    const version = this.#version(target);
    const outgoing = parts.slice(0, -1).map((part) => this.#response(version, part, [part.fields()], tools));
    const last = parts.at(-1);
    const rest = [last?.fields() ?? NO_BYTES, framing(extra), removedFields(removed)];
    if (plan.broken.length > 0) rest.push(errorFields('delta', plan.broken));
    const resources = extra.length === 0 ? (last?.resources ?? []) : [...(last?.resources ?? []), ...extra];
    outgoing.push(this.#response(version, { resources, removed }, rest, tools));
    return outgoing;
  }

  #version(target: Target): string {
    return planVersion(this.ledger.whole(target));
  }

  #response(
    version: string,
    { resources, removed = [] }: Pick<Outstanding, 'resources'> & Partial<Outstanding>,
    fields: readonly Uint8Array[],
    { sequence, nowMs }: Pick<SendTools, 'sequence' | 'nowMs'>,
  ): Outgoing {
    const number = sequence();
    const nonce = String(number);
    this.ledger.sent({ sequence: number, nonce, version, atMs: nowMs, resources, removed });
    return [deltaHead({ typeUrl: this.ledger.type.typeUrl, version, nonce }), ...fields];
  }
}

const NO_BYTES = new Uint8Array(0);

/** The resource of a name, if the client may see it by what it asks for. */
function lookUp({ interest }: Ledger, target: Target, name: string): EncodedResource | undefined {
  if (!interest.isWildcard && !interest.names.has(name)) return undefined;
  return target.own.get(name) ?? target.shared.get(name);
}
