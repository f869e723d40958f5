import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock, Timer } from '../runtime/clock.js';
import type { Received } from './protocol.js';
import { canonicalName, namespaceOf } from './resource-name.js';

/** What virtual hosts on demand are asked for with. */
export interface OnDemandOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly typeUrl: string;
  /** Whether anybody answers for a name. */
  readonly isServed: (name: string) => boolean;
  /** Whether a value is held under a name. */
  readonly isHeld: (name: string) => boolean;
  /** Whether requests of a table see what is held under a name. */
  readonly isInForce: (table: string, name: string) => boolean;
  /** The names to ask for changed. */
  readonly onChange: () => void;
}

interface Asked {
  readonly table: string;
  /** The resource that answers, under this name or another; undefined: no answer came yet. */
  target: string | undefined;
  readonly waiting: Set<(isThere: boolean) => void>;
}

/**
 * The virtual hosts that requests ask for (VHDS): `<table>/<host>` each. A name is asked for until it turns out that
 * nothing answers for it; then the next request asks anew (Envoy).
 */
export class OnDemandHosts {
  readonly #options: OnDemandOptions;
  readonly #asked = new Map<string, Asked>();
  #tables: ReadonlySet<string> = new Set();

  constructor(options: OnDemandOptions) {
    this.#options = options;
  }

  /** The tables whose hosts are asked for. */
  get tables(): ReadonlySet<string> {
    return this.#tables;
  }

  /** Replaces the tables; what was asked for the others is given up. */
  setTables(tables: ReadonlySet<string>): void {
    this.#tables = new Set([...tables].map(canonicalName));
    for (const [name, { table }] of this.#asked) if (!this.#tables.has(table)) this.#finish(name, false);
  }

  /** All that is to be asked for. */
  names(): ReadonlySet<string> {
    return new Set([...this.#tables, ...this.#asked.keys()]);
  }

  /** What of it another resource answers for. */
  isAlias(name: string): boolean {
    const target = this.#asked.get(name)?.target;
    return target !== undefined && target !== name;
  }

  /**
   * Asks for the host; `done` is called once, with whether it is there: at once when that is known, and after some time
   * in any case. Returns how to stop waiting.
   */
  ask(spelledTable: string, host: string, done: (isThere: boolean) => void): Unsubscribe {
    const { clock, timeoutMs, isServed, isInForce, onChange } = this.#options;
    const table = canonicalName(spelledTable);
    const name = canonicalName(`${table}/${host.toLowerCase()}`);
    const known = this.#asked.get(name);
    // Envoy: what was asked for and came is not asked for again by a request that finds no route in it.
    const isKnown = known?.target !== undefined && isInForce(table, known.target);
    if (isKnown || !this.#tables.has(table) || !isServed(name)) {
      done(false);
      return () => {};
    }
    const asked: Asked = known ?? { table, target: undefined, waiting: new Set() };
    this.#asked.set(name, asked);
    const settle = (isThere: boolean) => {
      stop();
      done(isThere);
    };
    const timer: Timer = clock.schedule(
      timeoutMs,
      () => {
        settle(false);
        // Nobody answers: what comes later is not in time for anybody.
        if (asked.target === undefined && asked.waiting.size === 0) this.#finish(name, false);
        onChange();
      },
      true,
    );
    const stop = () => {
      timer.cancel();
      asked.waiting.delete(settle);
    };
    asked.waiting.add(settle);
    if (known === undefined) onChange();
    return stop;
  }

  /** Takes what a response says about the names, after it was put in force. */
  receive({ typeUrl, changes, aliases }: Received): void {
    if (typeUrl !== this.#options.typeUrl || this.#asked.size === 0) return;
    for (const [alias, target] of aliases ?? []) this.#answer(alias, target);
    for (const { name } of changes) {
      this.#answer(name, this.#options.isHeld(name) ? name : undefined);
      if (!this.#options.isHeld(name)) this.#dropAliasesOf(name);
    }
    // What answers may have been there all the time.
    this.settle();
  }

  /** Tells those who wait for what is in force now. */
  settle(): void {
    for (const { table, target, waiting } of this.#asked.values()) {
      if (target === undefined || waiting.size === 0 || !this.#options.isInForce(table, target)) continue;
      for (const done of waiting) done(true);
    }
  }

  /** Nobody waits any more. */
  close(): void {
    for (const name of this.#asked.keys()) this.#finish(name, false);
  }

  #answer(name: string, target: string | undefined): void {
    const asked = this.#asked.get(name);
    if (asked === undefined) return;
    if (target !== undefined && this.#options.isHeld(target) && namespaceOf(target) === asked.table)
      asked.target = target;
    else this.#finish(name, false);
  }

  #dropAliasesOf(target: string): void {
    for (const [name, asked] of this.#asked) if (asked.target === target) this.#finish(name, false);
  }

  #finish(name: string, isThere: boolean): void {
    const waiting = [...(this.#asked.get(name)?.waiting ?? [])];
    this.#asked.delete(name);
    for (const done of waiting) done(isThere);
  }
}
