import type { Agenda } from '../../runtime/agenda.js';
import { type Backoff, createRetryBackoff } from '../../runtime/backoff.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import type { OpenReportStream, ReportEnd, ReportStream, ReportTarget } from './report-stream.js';

/** What came of the streams of a cluster (Envoy `lb_orca_oob`). */
export interface ReportCounts {
  reports: number;
  /** Streams that ended, or could not be opened; they are opened again. */
  failures: number;
  /** Streams of hosts that have no such service. */
  terminated: number;
}

/** What the streams of a cluster are kept with. */
export interface ReportTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly agenda: Agenda;
  readonly open: OpenReportStream;
}

/** Envoy's waits between streams. */
const BACKOFF_BASE_MS = 1000;
const BACKOFF_MAX_MS = 30_000;
/** Envoy: so many reports may be missing before the stream counts as stalled. */
const WATCHDOG_PERIODS = 3;

/** Keeps the stream of reports of one host open (Envoy OrcaOobManager::OobSession). */
export class ReportSession {
  readonly #target: ReportTarget;
  readonly #tools: ReportTools;
  readonly #counts: ReportCounts;
  /** The host was not used for long: it starts over with the next request. */
  readonly #unused: () => void;
  readonly #backoff: Backoff;
  #stream: ReportStream | undefined;
  #timer: Timer | undefined;
  #watchdog: Timer | undefined;
  #isGivenUp = false;
  #requests = 0;
  #usedMs: number;

  constructor(target: ReportTarget, counts: ReportCounts, unused: () => void, tools: ReportTools) {
    this.#target = target;
    this.#tools = tools;
    this.#counts = counts;
    this.#unused = unused;
    this.#backoff = createRetryBackoff(BACKOFF_BASE_MS, BACKOFF_MAX_MS, tools.random);
    this.#usedMs = tools.clock.now();
    // Envoy: at some time in the first period, so that many clients do not come at once.
    this.#openIn(Math.floor(tools.random() * target.periodMs));
  }

  /** Whether the host has no such service. */
  get isGivenUp(): boolean {
    return this.#isGivenUp;
  }

  close(): void {
    this.#timer?.cancel();
    this.#watchdog?.cancel();
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.close();
  }

  #openIn(delayMs: number): void {
    this.#timer = this.#tools.agenda.schedule(delayMs, () => this.#open());
  }

  #open(): void {
    this.#watch();
    const stream = this.#tools.open(this.#target, {
      report: (report) => {
        if (this.#stream !== stream) return;
        this.#counts.reports++;
        this.#backoff.reset();
        this.#watch();
        this.#target.host.load?.take(report, this.#tools.clock.now());
        if (this.#isUnused()) this.#unused();
      },
      ended: (end) => {
        if (this.#stream === stream) this.#ended(end);
      },
    });
    this.#stream = stream;
  }

  #ended({ isUnimplemented }: ReportEnd): void {
    this.close();
    if (isUnimplemented) {
      this.#counts.terminated++;
      this.#isGivenUp = true;
      return;
    }
    this.#counts.failures++;
    this.#openIn(this.#backoff.next());
  }

  #watch(): void {
    this.#watchdog?.cancel();
    const { periodMs } = this.#target;
    if (periodMs === 0) return;
    this.#watchdog = this.#tools.agenda.schedule(WATCHDOG_PERIODS * periodMs, () =>
      this.#ended({ isUnimplemented: false, message: `no report in ${WATCHDOG_PERIODS * periodMs} ms` }),
    );
  }

  /** As connections do, streams end that nobody needs. */
  #isUnused(): boolean {
    const { host, cluster } = this.#target;
    const nowMs = this.#tools.clock.now();
    if (host.totals.requests !== this.#requests || host.activeRequests > 0) {
      this.#requests = host.totals.requests;
      this.#usedMs = nowMs;
    }
    return cluster.idleTimeoutMs > 0 && nowMs - this.#usedMs >= cluster.idleTimeoutMs;
  }
}
