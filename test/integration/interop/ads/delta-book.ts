import type { Memory, Referee } from './referee.js';
import { type DeltaMessage, isComplete, type Short, shortOf, type Verdict } from './types.js';

interface Sent {
  readonly nonce: string;
  readonly verdict: Verdict;
  /** What the client holds once it accepts this. */
  readonly versions: ReadonlyMap<string, string>;
  readonly removed: readonly string[];
  answer: 'ack' | 'nack' | undefined;
}

interface TypeBook {
  readonly sent: Sent[];
  /** With `*` for everything. */
  readonly names: Set<string>;
}

/** What a request means, once it was checked. */
export interface DeltaReading {
  readonly type: Short;
  readonly isWildcard: boolean;
  readonly isNewWildcard: boolean;
  /** Names to answer for, wanted before or not. */
  readonly subscribed: readonly string[];
  readonly unsubscribed: readonly string[];
  readonly answer: 'ack' | 'nack' | undefined;
  readonly initial: ReadonlyMap<string, string>;
}

/** The rules of one incremental stream. */
export class DeltaBook {
  readonly #referee: Referee;
  readonly #types = new Map<Short, TypeBook>();
  #memory: Memory | undefined;

  constructor(referee: Referee) {
    this.#referee = referee;
  }

  sent(type: Short, response: Omit<Sent, 'answer'>): void {
    for (const [name, version] of response.versions) this.#memory?.offer(type, name, version);
    this.#types.get(type)?.sent.push({ ...response, answer: undefined });
  }

  /** Responses that were not answered: here each one has to be. */
  unanswered(): string[] {
    return [...this.#types].flatMap(([type, { sent }]) =>
      sent
        .filter(({ answer, verdict }) => answer === undefined && verdict !== 'either')
        .map(({ nonce }) => `${type} ${nonce}`),
    );
  }

  read(request: DeltaMessage): DeltaReading | undefined {
    const referee = this.#referee;
    referee.requests++;
    const memory = this.#node(request);
    const type = shortOf(request.type_url);
    if (type === undefined) {
      referee.blame('the type is known', request.type_url);
      return undefined;
    }
    referee.checkNames(type, request.resource_names_subscribe);
    const known = this.#types.get(type);
    const book = known ?? { sent: [], names: new Set() };
    this.#types.set(type, book);
    const answer = this.#answer(type, request, { book, memory });
    const before = book.names.has('*');
    this.#subscribe(type, request, book);
    if (known === undefined) {
      // xDS: without names the first request of these types means all.
      if (request.resource_names_subscribe.length === 0) {
        if (isComplete(type)) book.names.add('*');
        else referee.blame('a first request without names asks for nothing', type);
      }
      this.#checkInitial(type, request, { book, memory });
    } else this.#checkLater(type, request, answer);
    return {
      type,
      isWildcard: book.names.has('*'),
      isNewWildcard: book.names.has('*') && !before,
      subscribed: request.resource_names_subscribe.filter((name) => name !== '*'),
      unsubscribed: request.resource_names_unsubscribe,
      answer,
      initial: new Map(Object.entries(request.initial_resource_versions)),
    };
  }

  #node({ node, type_url }: DeltaMessage): Memory {
    const isNamed = node !== null && node.id !== '';
    if (!isNamed && this.#memory === undefined)
      this.#referee.blame('the first request names the node', type_url);
    if (isNamed || this.#memory === undefined) this.#memory = this.#referee.memoryOf(node?.id ?? '');
    return this.#memory;
  }

  #subscribe(type: Short, request: DeltaMessage, book: TypeBook): void {
    const { resource_names_subscribe: subscribe, resource_names_unsubscribe: unsubscribe } = request;
    const blame = (rule: string, detail: string) => this.#referee.blame(rule, type, detail);
    if (new Set(unsubscribe).size !== unsubscribe.length) blame('names are not repeated', unsubscribe.join());
    for (const name of unsubscribe) {
      if (subscribe.includes(name)) blame('a name is wanted or not', name);
      if (!book.names.delete(name)) blame('only what was wanted is given up', name);
    }
    for (const name of subscribe) {
      // xDS: it may be asked for again, and then has to be sent again.
      if (book.names.has(name)) this.#referee.refreshes++;
      book.names.add(name);
    }
  }

  #checkInitial(
    type: Short,
    request: DeltaMessage,
    { book, memory }: { readonly book: TypeBook; readonly memory: Memory },
  ): void {
    const blame = (rule: string, detail: string) => this.#referee.blame(rule, type, detail);
    if (request.response_nonce !== '')
      blame('the first request of a type has no nonce', request.response_nonce);
    const held = memory.heldOf(type);
    const isAll = book.names.has('*');
    for (const [name, version] of Object.entries(request.initial_resource_versions)) {
      if (held.get(name) !== version && !memory.offered(type, name, version))
        blame('initial versions are the accepted ones', `${name} ${version} for ${held.get(name)}`);
    }
    for (const name of held.keys()) {
      const isWanted = isAll || book.names.has(name);
      if (isWanted && request.initial_resource_versions[name] === undefined) {
        blame('initial versions list all that is held', name);
      }
    }
    for (const name of held.keys()) if (!isAll && !book.names.has(name)) held.delete(name);
  }

  #checkLater(type: Short, request: DeltaMessage, answer: DeltaReading['answer']): void {
    if (Object.keys(request.initial_resource_versions).length > 0) {
      this.#referee.blame('initial versions come first', type);
    }
    const isEmpty =
      request.resource_names_subscribe.length + request.resource_names_unsubscribe.length === 0 &&
      request.node === null;
    if (answer === undefined && isEmpty) this.#referee.blame('a request says something', type);
  }

  #answer(
    type: Short,
    request: DeltaMessage,
    { book, memory }: { readonly book: TypeBook; readonly memory: Memory },
  ): DeltaReading['answer'] {
    const { response_nonce: nonce, error_detail: error } = request;
    const blame = (rule: string, detail: string) => this.#referee.blame(rule, type, detail);
    if (nonce === '') {
      if (error !== null) blame('a refusal names the response', error.message);
      return undefined;
    }
    const sent = book.sent.find((one) => one.nonce === nonce && one.answer === undefined);
    if (sent === undefined) {
      const isKnown = book.sent.some((one) => one.nonce === nonce);
      blame(isKnown ? 'a response is answered once' : 'a nonce is one that was sent on this stream', nonce);
      return undefined;
    }
    return error === null
      ? this.#accepted(type, sent, memory.heldOf(type))
      : this.#refused(type, sent, error.message);
  }

  #accepted(type: Short, sent: Sent, held: Map<string, string>): 'ack' {
    if (sent.verdict === 'nack') this.#referee.blame('a bad response is refused', type, sent.nonce);
    sent.answer = 'ack';
    for (const [name, version] of sent.versions) held.set(name, version);
    for (const name of sent.removed) held.delete(name);
    this.#referee.acks++;
    return 'ack';
  }

  #refused(type: Short, sent: Sent, message: string): 'nack' {
    if (message === '') this.#referee.blame('a refusal says why', type);
    if (sent.verdict === 'ack') this.#referee.blame('a good response is accepted', type, message);
    sent.answer = 'nack';
    this.#referee.nacks.push({ type, message, atMs: performance.now() });
    return 'nack';
  }
}
