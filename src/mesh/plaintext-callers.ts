import type { PlaintextCaller } from '../model/node.js';
import type { Clock, Timer } from '../runtime/clock.js';
import type { WorkloadInfo } from '../service/workload.js';

/** The end of a connection, as node:net tells it. */
export interface PlaintextSocket {
  readonly remoteAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** Callers that are told apart; more share one entry per port. */
const MAX_CALLERS = 200;
/** A caller that was not there before is told of so soon, with those that come meanwhile. */
const NEWS_MS = 2_000;
/** Numbers alone are told so often. */
const COUNTS_MS = 60_000;

type Entry = { -readonly [K in keyof PlaintextCaller]: PlaintextCaller[K] };

/** Who calls this process without TLS: what would break, were it STRICT. It costs nothing where nobody does. */
export class PlaintextCallers {
  readonly #owner: { readonly clock: Clock };
  readonly #onNews: () => void;
  readonly #entries = new Map<string, Entry>();
  #timer: { readonly dueMs: number; readonly timer: Timer } | undefined;
  #isClosed = false;

  /** `onNews` hears that there is something new to tell. */
  constructor(owner: { readonly clock: Clock }, onNews: () => void) {
    this.#owner = owner;
    this.#onNews = onNews;
  }

  /** Takes note of a connection. */
  seen(socket: PlaintextSocket, isRefused: boolean): void {
    const { entry, isNew } = this.#entryOf(socket);
    if (isRefused) entry.refused++;
    else entry.connections++;
    entry.lastAtMs = this.#owner.clock.wallTime();
    this.#tell(isNew ? NEWS_MS : COUNTS_MS);
  }

  /** Takes note of who a caller says it is. Nobody proved it: it is a hint for people. */
  named(socket: PlaintextSocket, { workload, namespace }: WorkloadInfo): void {
    if (workload === '') return;
    const { entry } = this.#entryOf(socket);
    const name = namespace === '' ? workload : `${workload}.${namespace}`;
    if (entry.source === '' || entry.workload === name) return;
    entry.workload = name;
    this.#tell(NEWS_MS);
  }

  list(): readonly PlaintextCaller[] {
    return [...this.#entries.values()].map((one) => ({ ...one }));
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.timer.cancel();
  }

  #entryOf({ remoteAddress = '', localPort: port = 0 }: PlaintextSocket): { entry: Entry; isNew: boolean } {
    // An IPv4 address on a socket for both families.
    const address = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress;
    const own = this.#entries.get(`${port} ${address}`);
    if (own !== undefined) return { entry: own, isNew: false };
    const source = this.#entries.size < MAX_CALLERS ? address : '';
    const key = `${port} ${source}`;
    const known = this.#entries.get(key);
    if (known !== undefined) return { entry: known, isNew: false };
    const entry: Entry = { port, source, workload: '', connections: 0, refused: 0, lastAtMs: 0 };
    this.#entries.set(key, entry);
    return { entry, isNew: true };
  }

  #tell(delayMs: number): void {
    if (this.#isClosed) return;
    const dueMs = this.#owner.clock.now() + delayMs;
    if (this.#timer !== undefined && this.#timer.dueMs <= dueMs) return;
    this.#timer?.timer.cancel();
    const timer = this.#owner.clock.schedule(delayMs, () => {
      this.#timer = undefined;
      this.#onNews();
    });
    this.#timer = { dueMs, timer };
  }
}
