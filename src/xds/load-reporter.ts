import { decodeLoadWish, encodeLoadGreeting, encodeLoadReports, type LoadWish } from '../codec/load-stats.js';
import type { ClusterLoad } from '../model/load-stats.js';
import type { Node } from '../model/node.js';
import type { Clock, Timer } from '../runtime/clock.js';
import type { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import { type Connection, createConnection } from './connection.js';
import type { OpenStream } from './stream.js';

/** What a reporter works with. */
export interface LoadReporterOptions {
  readonly open: OpenStream;
  readonly node: Node;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What was counted since the last time, of the clusters that the server names. */
  readonly take: (
    isWanted: (clusterName: string) => boolean,
    withEndpoints: boolean,
  ) => readonly ClusterLoad[];
}

const METHOD = '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats';
/** No server is to keep us busy. */
const LEAST_INTERVAL_MS = 100;

/** Reports load to one server (LRS). What is counted while the server is away goes into the next report. */
export class LoadReporter {
  readonly #options: LoadReporterOptions;
  #connection: Connection | undefined;
  #send: ((message: Uint8Array) => void) | undefined;
  #wish: LoadWish | undefined;
  #timer: Timer | undefined;
  #isOutageTold = false;

  constructor(options: LoadReporterOptions) {
    this.#options = options;
  }

  /** There is something to report, now or later. */
  start(): void {
    if (this.#connection !== undefined) return;
    const { open, clock, random } = this.#options;
    this.#connection = createConnection({
      open,
      method: METHOD,
      clock,
      random,
      listener: {
        onConnecting() {},
        onStream: (send) => {
          this.#send = send;
          send(encodeLoadGreeting(this.#options.node));
        },
        onReady() {},
        onMessage: (message) => this.#take(message),
        onLost: (error) => this.#lost(error),
      },
    });
  }

  /** There is nothing more to report. */
  async stop(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#forget();
    await connection?.close();
  }

  /* oxlint-disable require-yield */
  // biome-ignore lint/correctness/useYield: a message of this service is small: there is no reason to pause.
  *#take(message: Uint8Array): Generator<void, void> {
    const before = this.#wish;
    const wish = decodeLoadWish(message);
    this.#wish = wish;
    this.#isOutageTold = false;
    // What is said again must not put the next report off.
    if (before === undefined || before.intervalMs !== wish.intervalMs) this.#wait(wish);
  }

  #wait({ intervalMs }: LoadWish): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.schedule(Math.max(LEAST_INTERVAL_MS, intervalMs), () => this.#report());
  }

  #report(): void {
    const [send, wish] = [this.#send, this.#wish];
    if (send === undefined || wish === undefined) return;
    this.#wait(wish);
    const { clusters, withEndpoints } = wish;
    const names = clusters === 'all' ? undefined : new Set(clusters);
    send(encodeLoadReports(this.#options.take((name) => names?.has(name) ?? true, withEndpoints)));
  }

  #lost(error: MeshError): void {
    this.#forget();
    if (this.#isOutageTold) return;
    this.#isOutageTold = true;
    this.#options.logger.info(
      { error: error.message },
      'load is not reported; what is counted is kept until it is',
    );
  }

  /** What one stream was told holds for no other. */
  #forget(): void {
    this.#send = undefined;
    this.#wish = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
