import type { Channel, Outcome, Outgoing, SendTools } from './channel.js';
import type { EncodedResource, Framing, ResourceFault } from './encoded-resource.js';
import type { InterestTable } from './interest.js';
import type { Due, Ledger, Target } from './ledger.js';
import type { NameList } from './name-list.js';
import { partsOf, planVersion } from './plan.js';
import { type ServedType, versionOf } from './resources.js';
import { errorFields, sotwHead } from './wire.js';

/** What of a state-of-the-world request concerns one type. */
export interface SotwRequest {
  readonly names: NameList;
  readonly version: string;
  readonly nonce: string;
  readonly error: string | undefined;
}

/**
 * State of the world: each request lists everything that the client wants. A response has everything of a complete type
 * (LDS, CDS), and what is new or changed of the others.
 */
export class SotwChannel implements Channel {
  readonly ledger: Ledger;
  readonly #interests: InterestTable;
  #names: NameList | undefined;
  /** Legacy wildcard: no name was ever sent for LDS or CDS. */
  #everNamed = false;
  #owesAnswer = false;
  #doubted: Set<string> | undefined;
  #nonce = '';

  constructor(ledger: Ledger, interests: InterestTable) {
    this.ledger = ledger;
    this.#interests = interests;
  }

  get names(): NameList | undefined {
    return this.#names;
  }

  get owesAnswer(): boolean {
    return this.#owesAnswer;
  }

  get hasNews(): boolean {
    return this.#owesAnswer || this.ledger.hasRepeats || this.ledger.interest !== this.ledger.asked;
  }

  /** Takes a request in. Returns what it says about our last response: accepted, refused, or nothing new. */
  receive(request: SotwRequest, atMs: number): Outcome {
    const { nonce, error } = request;
    if (nonce !== '' && nonce !== this.#nonce) {
      // xDS: an answer to anything but the newest response was overtaken; a newer request follows it.
      this.ledger.answered(nonce, error, atMs);
      this.#lookAtStale(request.names);
      return 'stale';
    }
    const isWider = this.#subscribe(request.names);
    if (this.#resolveDoubts() || isWider) this.#owesAnswer = true;
    const isAnswer = nonce !== '' && this.ledger.answered(nonce, error, atMs);
    if (isAnswer) return error === undefined ? 'ack' : 'nack';
    if (nonce === '' || (request.version === '' && error === undefined)) {
      // A first request, or a client that lost what it had (the response was answered before): it gets everything.
      this.ledger.forget();
      this.#owesAnswer = true;
    }
    return 'subscribe';
  }

  isDue(target: Target): boolean {
    return this.#owesAnswer || this.ledger.kept.size > 0 || this.#hasNews(this.ledger.due(target), false);
  }

  take(target: Target, tools: SendTools): readonly Outgoing[] {
    const { ledger } = this;
    const due = ledger.due(target);
    const again = ledger.mended(target);
    const dropsKept = ledger.kept.size > 0 && !tools.keepsRemoved;
    const isDue = this.#owesAnswer || dropsKept || again.length > 0 || this.#hasNews(due, tools.keepsRemoved);
    this.#owesAnswer = false;
    // What a partial type no longer has, the client hears of by what referred to it.
    ledger.advance(target, due, tools.keepsRemoved && ledger.type.complete);
    if (!isDue) return [];
    return ledger.type.complete
      ? this.#complete(target, due, tools)
      : this.#partial(target, due, { again, tools });
  }

  heartbeat(ttlMs: number, tools: Pick<SendTools, 'sequence' | 'nowMs'>): readonly Outgoing[] {
    const { type, held, sentVersion = '' } = this.ledger;
    const framing = type.framing({ protocol: 'sotw', ttlMs, isHeartbeat: true });
    // A response of heartbeats alone is none that lacks anything, so it may be split.
    return partsOf(held, framing, false).map((part) =>
      this.#response(sentVersion, [], [part.fields()], tools),
    );
  }

  #hasNews({ plan, own, removed }: Due, keepsRemoved: boolean): boolean {
    if (plan.resources.length + plan.broken.length + own.length > 0) return true;
    return this.ledger.type.complete && !keepsRemoved && removed.length > 0;
  }

  #complete(target: Target, due: Due, tools: SendTools): readonly Outgoing[] {
    const { type, kept } = this.ledger;
    const plan = this.ledger.whole(target);
    const extra = [...target.own.values(), ...kept.values()];
    const version = withExtra(planVersion(plan), extra);
    const framing = framingFor(type, tools);
    const [part] = partsOf(plan.resources, framing, true);
    const resources = extra.length === 0 ? plan.resources : [...plan.resources, ...extra];
    const fields = [part?.fields() ?? NO_BYTES, framing(extra), faultsIn(due.plan.broken)];
    return [this.#response(version, resources, fields, tools)];
  }

  #partial(
    target: Target,
    { plan, own, absent }: Due,
    { again, tools }: { readonly again: readonly string[]; readonly tools: SendTools },
  ): readonly Outgoing[] {
    const { type } = this.ledger;
    const version = withExtra(planVersion(this.ledger.whole(target)), [...target.own.values()]);
    const framing = framingFor(type, tools);
    const parts = partsOf(plan.resources, framing, false);
    const extra = [...own, ...this.#repeated(again, plan.resources)];
    // Without that a client learns only by its patience that there is nothing (gRFC A88).
    const faults = faultsIn([...plan.broken, ...absent.map(notFound)]);
    const last = parts.at(-1);
    const outgoing = parts
      .slice(0, -1)
      .map((part) => this.#response(version, part.resources, [part.fields()], tools));
    const rest = [last?.fields() ?? NO_BYTES, framing(extra), faults];
    const resources = extra.length === 0 ? (last?.resources ?? []) : [...(last?.resources ?? []), ...extra];
    outgoing.push(this.#response(version, resources, rest, tools));
    return outgoing;
  }

  #repeated(names: readonly string[], besides: readonly EncodedResource[]): EncodedResource[] {
    if (names.length === 0) return [];
    const sent = new Set(besides.map(({ name }) => name));
    return names.flatMap((name) => (sent.has(name) ? [] : (this.ledger.told(name) ?? [])));
  }

  #response(
    version: string,
    resources: readonly EncodedResource[],
    fields: readonly Uint8Array[],
    { sequence, nowMs }: Pick<SendTools, 'sequence' | 'nowMs'>,
  ): Outgoing {
    const { type } = this.ledger;
    const number = sequence();
    this.#nonce = String(number);
    this.ledger.sent({ sequence: number, nonce: this.#nonce, version, atMs: nowMs, resources, removed: [] });
    return [sotwHead({ typeUrl: type.typeUrl, version, nonce: this.#nonce }), ...fields];
  }

  /** Names that an overtaken request leaves out may be back in the next: the client forgot them in between. */
  #lookAtStale(list: NameList): void {
    if (list === this.#names) return;
    this.#doubted ??= new Set();
    for (const name of this.ledger.interest.names) if (!list.names.has(name)) this.#doubted.add(name);
  }

  /** The client is back in step; whether it wants something again that it gave up meanwhile. */
  #resolveDoubts(): boolean {
    const doubted = this.#doubted;
    this.#doubted = undefined;
    if (doubted === undefined || doubted.size === 0) return false;
    const { isWildcard, names } = this.ledger.interest;
    const kept = new Set([...names].filter((name) => !doubted.has(name)));
    this.ledger.giveUp(isWildcard, kept, this.#interests);
    return kept.size < names.size;
  }

  /** Whether something was added to what the client wants. */
  #subscribe(list: NameList): boolean {
    const { type, interest } = this.ledger;
    if (list === this.#names) return false;
    this.#names = list;
    const isEmpty = list.names.size === 0 && !list.hasWildcard;
    const isWildcard =
      type.hasWildcard && (list.hasWildcard || (isEmpty && !this.#everNamed && type.complete));
    if (!isEmpty) this.#everNamed = true;
    this.ledger.ask(this.#interests.intern(isWildcard, list.names), this.#interests);
    if (isWildcard && !interest.isWildcard) return true;
    for (const name of list.names) if (!interest.names.has(name)) return true;
    return false;
  }
}

const NO_BYTES = new Uint8Array(0);
const NOT_FOUND = 5;

/** What a client may not have is told like what does not exist. */
function notFound(name: string): ResourceFault {
  return { name, code: NOT_FOUND, message: 'there is none of this name' };
}

function faultsIn(faults: readonly ResourceFault[]): Uint8Array {
  return faults.length === 0 ? NO_BYTES : errorFields('sotw', faults);
}

function framingFor(type: ServedType, { ttlMs }: SendTools): Framing {
  return type.framing({ protocol: 'sotw', ttlMs, isHeartbeat: false });
}

function withExtra(version: string, extra: readonly EncodedResource[]): string {
  if (extra.length === 0) return version;
  return versionOf([{ name: '', hash: version }, ...extra]);
}
