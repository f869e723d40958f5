import type { Memory, Referee } from './referee.js';
import { isComplete, type Short, type SotwMessage, shortOf, type Verdict } from './types.js';

interface Sent {
  readonly nonce: string;
  readonly version: string;
  readonly verdict: Verdict;
  answer: 'ack' | 'nack' | 'passed over' | undefined;
}

interface TypeBook {
  readonly sent: Sent[];
  names: readonly string[];
  everNamed: boolean;
  /** Place in `sent` of the newest nonce that the client used. */
  used: number;
}

/** What a request means, once it was checked. */
export interface SotwReading {
  readonly type: Short;
  /** The names wanted now; undefined = everything. */
  readonly names: ReadonlySet<string> | undefined;
  /** Names that were not wanted before; `all` when everything is newly wanted, or all is asked for anew. */
  readonly added: ReadonlySet<string> | 'all';
  readonly answer: 'ack' | 'nack' | 'passed over' | undefined;
  readonly isFirst: boolean;
  readonly version: string;
  readonly isStale: boolean;
}

/** The rules of one state-of-the-world stream. */
export class SotwBook {
  readonly #referee: Referee;
  readonly #types = new Map<Short, TypeBook>();
  #memory: Memory | undefined;

  constructor(referee: Referee) {
    this.#referee = referee;
  }

  sent(type: Short, nonce: string, version: string, verdict: Verdict): void {
    this.#types.get(type)?.sent.push({ nonce, version, verdict, answer: undefined });
  }

  /** Responses that were not answered, although nothing followed them. */
  unanswered(): string[] {
    return [...this.#types].flatMap(([type, { sent }]) => {
      const last = sent.at(-1);
      return last === undefined || last.answer !== undefined ? [] : [`${type} ${last.nonce}`];
    });
  }

  /** The stream is over. */
  end(): void {
    for (const [type, { sent }] of this.#types) {
      const open = sent.filter(({ answer }) => answer === undefined);
      this.#memory?.unsaid.set(type, new Set(open.map(({ version }) => version)));
    }
  }

  read(request: SotwMessage): SotwReading | undefined {
    const referee = this.#referee;
    referee.requests++;
    const memory = this.#node(request);
    const type = shortOf(request.type_url);
    if (type === undefined) {
      referee.blame('the type is known', request.type_url);
      return undefined;
    }
    referee.checkNames(type, request.resource_names);
    const book = this.#types.get(type);
    return book === undefined
      ? this.#first(type, request, memory)
      : this.#next(type, request, { book, memory });
  }

  #node({ node, type_url }: SotwMessage): Memory {
    const isNamed = node !== null && node.id !== '';
    if (!isNamed && this.#memory === undefined)
      this.#referee.blame('the first request names the node', type_url);
    if (isNamed || this.#memory === undefined) this.#memory = this.#referee.memoryOf(node?.id ?? '');
    return this.#memory;
  }

  #first(type: Short, request: SotwMessage, memory: Memory): SotwReading {
    const { version_info: version, resource_names: names } = request;
    const blame = (rule: string, detail: string) => this.#referee.blame(rule, type, detail);
    if (request.response_nonce !== '')
      blame('the first request of a type has no nonce', request.response_nonce);
    if (request.error_detail !== null) blame('a first request refuses nothing', request.error_detail.message);
    const isKnown = version === '' || version === memory.accepted.get(type);
    if (!isKnown && memory.unsaid.get(type)?.has(version) !== true)
      blame('the first version is the accepted one', version);
    if (version !== '') memory.accepted.set(type, version);
    if (names.length === 0 && !isComplete(type)) blame('a first request without names asks for all', '');
    this.#types.set(type, { sent: [], names, everNamed: names.length > 0, used: -1 });
    const wanted = wantedOf(type, names, names.length > 0);
    return {
      type,
      names: wanted,
      added: wanted ?? 'all',
      answer: undefined,
      isFirst: true,
      version,
      isStale: false,
    };
  }

  #next(
    type: Short,
    request: SotwMessage,
    { book, memory }: { readonly book: TypeBook; readonly memory: Memory },
  ): SotwReading {
    const before = { names: book.names, wanted: wantedOf(type, book.names, book.everNamed) };
    const at = this.#place(type, request, book);
    const isStale = at < book.sent.length - 1;
    const answer = this.#answer(type, request, { sent: book.sent[at], memory });
    const names = request.resource_names;
    const isSame = sameNames(book.names, names);
    const isRefresh = answer === undefined && isSame && request.node === null;
    if (isRefresh && request.error_detail === null) this.#refresh(type, request);
    book.everNamed ||= names.length > 0;
    book.names = names;
    const wanted = wantedOf(type, names, book.everNamed);
    const added = isRefresh && request.version_info === '' ? 'all' : addedTo(before, { names, wanted });
    return { type, names: wanted, added, answer, isFirst: false, version: request.version_info, isStale };
  }

  #refresh(type: Short, request: SotwMessage): void {
    if (request.version_info === '') this.#referee.refreshes++;
    else this.#referee.blame('a request says something', type, request.response_nonce);
  }

  /** Place of the response that a request names; -1 = none yet. */
  #place(type: Short, { response_nonce: nonce }: SotwMessage, book: TypeBook): number {
    const isNameless = book.sent.some((one) => one.nonce === '' && one.answer === undefined);
    if (nonce === '' && !isNameless) {
      if (book.used >= 0) this.#referee.blame('a request names the response that it knows', type);
      return -1;
    }
    // A server that uses a nonce twice has two answers coming.
    const open = book.sent.findIndex((one) => one.nonce === nonce && one.answer === undefined);
    const at = open >= 0 ? open : book.sent.findLastIndex((one) => one.nonce === nonce);
    if (at < 0) this.#referee.blame('a nonce is one that was sent on this stream', type, nonce);
    else if (at < book.used) this.#referee.blame('nonces are not used again after newer ones', type, nonce);
    book.used = Math.max(at, book.used);
    return at;
  }

  #answer(
    type: Short,
    request: SotwMessage,
    { sent, memory }: { readonly sent: Sent | undefined; readonly memory: Memory },
  ): SotwReading['answer'] {
    const { version_info: version, error_detail: error } = request;
    const accepted = memory.accepted.get(type) ?? '';
    const blame = (rule: string, detail: string) => this.#referee.blame(rule, type, detail);
    const isFormer = version === '' || version === accepted;
    if (sent === undefined) {
      if (error !== null) blame('a refusal names the response', error.message);
      if (!isFormer) blame('a version is the accepted one', version);
      return undefined;
    }
    if (sent.answer !== undefined) {
      if (!isFormer) blame('a version is the accepted one', version);
      return undefined;
    }
    // Envoy: resources of a type that nobody wants any more are passed over with the old version.
    const isPassedOver = isFormer && request.resource_names.length === 0 && version !== sent.version;
    if (error === null && isPassedOver) {
      sent.answer = 'passed over';
      return sent.answer;
    }
    if (error === null) return this.#accepted(type, version, { sent, memory });
    if (!isFormer) blame('a refusal keeps the accepted version', version);
    return this.#refused(type, sent, error.message);
  }

  #refused(type: Short, sent: Sent, message: string): 'nack' {
    if (message === '') this.#referee.blame('a refusal says why', type);
    if (sent.verdict === 'ack') this.#referee.blame('a good response is accepted', type, message);
    sent.answer = 'nack';
    this.#referee.nacks.push({ type, message, atMs: performance.now() });
    return 'nack';
  }

  #accepted(
    type: Short,
    version: string,
    { sent, memory }: { readonly sent: Sent; readonly memory: Memory },
  ): 'ack' {
    if (version !== sent.version)
      this.#referee.blame('an acceptance repeats the version', type, `${version} for ${sent.version}`);
    if (sent.verdict === 'nack') this.#referee.blame('a bad response is refused', type, sent.version);
    sent.answer = 'ack';
    memory.accepted.set(type, sent.version);
    this.#referee.acks++;
    return 'ack';
  }
}

function wantedOf(
  type: Short,
  names: readonly string[],
  everNamed: boolean,
): ReadonlySet<string> | undefined {
  const isAll = names.includes('*') || (names.length === 0 && !everNamed && isComplete(type));
  return isAll ? undefined : new Set(names);
}

interface Wish {
  readonly names: readonly string[];
  readonly wanted: ReadonlySet<string> | undefined;
}

function addedTo(before: Wish, after: Wish): ReadonlySet<string> | 'all' {
  if (after.wanted === undefined && before.wanted !== undefined) return 'all';
  return new Set(after.names.filter((name) => !before.names.includes(name)));
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && new Set([...a, ...b]).size === a.length;
}
