import { isIP } from 'node:net';
import { formatAddress, type SocketAddress } from '../model/address.js';
import type { DnsCacheConfig } from '../model/dns-cache.js';
import type { Abort } from '../runtime/abort.js';
import { type Backoff, createRetryBackoff } from '../runtime/backoff.js';
import type { Timer } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { DnsTools } from './resolve-dns.js';
import type { DnsAnswer } from './resolve-name.js';

/** What a cache says about a name. */
export type NameOutcome =
  /** First the address that is preferred; never empty. */
  | { readonly kind: 'resolved'; readonly addresses: readonly string[] }
  | { readonly kind: 'failed'; readonly details: string }
  /** The cache is full. */
  | { readonly kind: 'full' }
  /** Too many requests wait for names. */
  | { readonly kind: 'overflow' };

const FULL: NameOutcome = { kind: 'full' };
const OVERFLOW: NameOutcome = { kind: 'overflow' };

/**
 * Names that are resolved when they are asked for, asked for again when their records are over, and forgotten when
 * nobody used them for long (Envoy `DnsCacheImpl`). A name keeps its addresses when a later question fails.
 */
export class DnsCache {
  readonly #config: DnsCacheConfig;
  readonly #tools: DnsTools;
  readonly #names = new Map<string, CachedName>();
  readonly #listeners = new Set<(key: string) => void>();
  #waiting = 0;

  constructor(config: DnsCacheConfig, tools: DnsTools) {
    this.#config = config;
    this.#tools = tools;
    for (const address of config.preresolve) this.#add(formatAddress(address), address);
  }

  /** The addresses of a name with its port, if it has any; whoever asks uses them. */
  addresses(key: string): readonly string[] | undefined {
    const name = this.#names.get(key);
    if (name === undefined || name.addresses.length === 0) return undefined;
    name.usedMs = this.#tools.clock.now();
    return name.addresses;
  }

  /** Resolves a name for a request, which waits where the cache does not know. Rejects when the request is given up. */
  resolve(address: SocketAddress, abort: Abort): NameOutcome | Promise<NameOutcome> {
    // Envoy: the breaker is asked for every request, whether it will wait or not.
    if (this.#waiting >= this.#config.maxPendingRequests) return OVERFLOW;
    const key = formatAddress(address);
    const known = this.#names.get(key);
    if (known?.isComplete === true && known.addresses.length > 0) return known.outcome;
    if (this.#names.size >= this.#config.maxHosts) return FULL;
    // Envoy: a failure is not remembered; who asks next has the name resolved anew.
    if (known?.isComplete === true) this.#forget(key, known);
    const name = known?.isComplete === false ? known : this.#add(key, address);
    return name.isComplete ? name.outcome : this.#wait(name, abort);
  }

  /** Hears of names whose addresses changed, or that are gone. */
  onChange(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const name of this.#names.values()) name.close();
    this.#names.clear();
  }

  #add(key: string, { address }: SocketAddress): CachedName {
    const name = new CachedName(address, this.#config, this.#tools, {
      onChange: () => this.#tell(key),
      onExpiry: () => this.#forget(key, name),
    });
    this.#names.set(key, name);
    name.begin();
    return name;
  }

  #forget(key: string, name: CachedName): void {
    name.close();
    if (this.#names.get(key) !== name) return;
    this.#names.delete(key);
    this.#tell(key);
  }

  #tell(key: string): void {
    for (const listener of this.#listeners) listener(key);
  }

  #wait(name: CachedName, abort: Abort): Promise<NameOutcome> {
    this.#waiting++;
    return new Promise<NameOutcome>((resolve, reject) => {
      const unlink = abort.onAbort((reason) => {
        stop();
        reject(reason instanceof Error ? reason : new Error(String(reason)));
      });
      const settle = (outcome: NameOutcome) => {
        unlink();
        resolve(outcome);
      };
      const stop = () => name.waiting.delete(settle);
      if (!abort.aborted) name.waiting.add(settle);
    }).finally(() => {
      this.#waiting--;
    });
  }
}

interface NameEvents {
  readonly onChange: () => void;
  readonly onExpiry: () => void;
}

/** One name of a cache. */
class CachedName {
  readonly waiting = new Set<(outcome: NameOutcome) => void>();
  addresses: readonly string[] = [];
  usedMs: number;
  /** Whether it was asked for once, with or without success. */
  isComplete = false;
  readonly #name: string;
  readonly #config: DnsCacheConfig;
  readonly #tools: DnsTools;
  readonly #events: NameEvents;
  readonly #backoff: Backoff | undefined;
  #details = '';
  #timer: Timer | undefined;
  /** Counts the questions: an answer that comes after its time says nothing. */
  #question = 0;
  #isClosed = false;

  constructor(name: string, config: DnsCacheConfig, tools: DnsTools, events: NameEvents) {
    this.#name = name;
    this.#config = config;
    this.#tools = tools;
    this.#events = events;
    this.usedMs = tools.clock.now();
    const { failureRefresh: failure } = config;
    this.#backoff = failure && createRetryBackoff(failure.baseMs, failure.maxMs, tools.random);
  }

  get outcome(): NameOutcome {
    return this.addresses.length > 0
      ? { kind: 'resolved', addresses: this.addresses }
      : { kind: 'failed', details: this.#details };
  }

  begin(): void {
    if (isIP(this.#name) === 0) this.#ask();
    else this.#succeed([this.#name]);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#settle({ kind: 'failed', details: 'cancelled' });
  }

  #ask(): void {
    const { clock, resolve } = this.#tools;
    const { queryTimeoutMs, lookupFamily } = this.#config;
    const question = ++this.#question;
    const isCurrent = () => question === this.#question && !this.#isClosed;
    const timer =
      queryTimeoutMs > 0
        ? clock.schedule(queryTimeoutMs, () => isCurrent() && this.#fail('resolve_timeout'))
        : undefined;
    resolve(this.#name, lookupFamily)
      .finally(() => timer?.cancel())
      .then(
        (answers) => isCurrent() && this.#succeed(answers),
        (error: unknown) => isCurrent() && this.#fail(messageOf(error)),
      );
  }

  #succeed(answers: readonly DnsAnswer[]): void {
    const addresses = answers.map((one) => (typeof one === 'string' ? one : one.address));
    // Name servers rotate their answers: the address in use stays while it is among them.
    const [used] = this.addresses;
    if (used !== undefined && addresses.includes(used)) {
      addresses.sort((a, b) => Number(b === used) - Number(a === used));
    }
    const changed = addresses.length > 0 && addresses[0] !== used;
    // Envoy: an empty answer changes nothing.
    if (addresses.length > 0) this.addresses = addresses;
    else this.#details = 'no addresses';
    this.#backoff?.reset();
    this.#complete(this.#lifeOf(answers));
    if (changed) this.#events.onChange();
  }

  /** Envoy: the life of the first record, but not too short. */
  #lifeOf([first]: readonly DnsAnswer[]): number {
    const { refreshRateMs, minRefreshRateMs } = this.#config;
    return typeof first === 'object' ? Math.max(minRefreshRateMs, first.ttlMs) : refreshRateMs;
  }

  #fail(details: string): void {
    const { logger } = this.#tools;
    logger.warn({ name: this.#name, kept: this.addresses.length, error: details }, 'name resolution failed');
    this.#details = details;
    this.#complete(this.#backoff === undefined ? this.#config.refreshRateMs : this.#backoff.next());
  }

  #complete(waitMs: number): void {
    this.#question++;
    this.isComplete = true;
    this.#timer?.cancel();
    this.#timer = this.#tools.clock.schedule(Math.max(1, waitMs), () => this.#due());
    this.#settle(this.outcome);
  }

  /** Envoy: whether a name is still used is looked at when it would be asked for again. */
  #due(): void {
    if (this.#tools.clock.now() - this.usedMs > this.#config.hostTtlMs) this.#events.onExpiry();
    else this.begin();
  }

  #settle(outcome: NameOutcome): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const tell of waiting) tell(outcome);
  }
}
