import type { HealthCheck } from '../../model/health-check.js';
import { Abort } from '../../runtime/abort.js';
import type { Agenda } from '../../runtime/agenda.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import type { Stalls } from '../../runtime/stalls.js';
import type { Host } from '../host.js';
import { initialDelay, nextInterval } from './interval.js';
import { networkFailure, type Probe, type ProbeResult } from './probe.js';
import { type CheckFailure, type CheckState, fail, pass, type Transition } from './state.js';

/** What a result was, for statistics and events. */
export interface CheckOutcome {
  readonly passed: boolean;
  readonly failure: CheckFailure | undefined;
  readonly isFirst: boolean;
  readonly wasFailed: boolean;
  readonly wasDegraded: boolean;
  readonly transition: Transition;
  readonly message: string;
}

export interface SessionTools {
  readonly agenda: Agenda;
  /** Keeps the time limit of a check: what this process itself loses does not count. */
  readonly timeouts: Clock;
  readonly random: Random;
  readonly stalls: Stalls | undefined;
  readonly hasTraffic: () => boolean;
  readonly onStart: () => void;
  readonly onResult: (host: Host, outcome: CheckOutcome) => void;
}

/** The checks of one host, one after the other. */
export class CheckSession {
  readonly #host: Host;
  readonly #state: CheckState;
  readonly #check: HealthCheck;
  readonly #probe: Probe;
  readonly #tools: SessionTools;
  #next: Timer | undefined;
  #running: Abort | undefined;
  #isClosed = false;

  constructor(host: Host, state: CheckState, check: HealthCheck, probe: Probe, tools: SessionTools) {
    this.#host = host;
    this.#state = state;
    this.#check = check;
    this.#probe = probe;
    this.#tools = tools;
  }

  start(): void {
    const delayMs = initialDelay(this.#check, this.#tools.random);
    if (delayMs === 0) this.#begin();
    else this.#next = this.#tools.agenda.schedule(delayMs, () => this.#begin());
  }

  /** An answer to a request said that the host wants no traffic. */
  failNow(): void {
    this.#state.excluded = true;
    this.#failed('PASSIVE', false, 'a response carried x-envoy-immediate-health-check-fail');
  }

  close(): void {
    this.#isClosed = true;
    this.#next?.cancel();
    this.#running?.abort(new Error('the host is no longer checked'));
    this.#probe.close();
  }

  #begin(): void {
    const { timeouts, stalls, onStart } = this.#tools;
    const { timeoutMs } = this.#check;
    const abort = new Abort();
    this.#running = abort;
    const mark = stalls?.watch() ?? 0;
    onStart();
    const end = (finish: () => void) => {
      if (this.#running !== abort) return;
      this.#running = undefined;
      timer.cancel();
      stalls?.unwatch();
      if (!this.#isClosed) finish();
    };
    const timer = timeouts.schedule(timeoutMs, () =>
      end(() => {
        abort.abort(new Error(`no answer to a health check within ${timeoutMs} ms`));
        this.#failed('NETWORK_TIMEOUT', false, `no answer within ${timeoutMs} ms`, true);
      }),
    );
    abort.onAbort(() => end(() => {}));
    this.#probe.run(abort).then(
      (result) => end(() => this.#finish(result, mark)),
      (error: unknown) => end(() => this.#finish(networkFailure(String(error)), mark)),
    );
  }

  #finish(result: ProbeResult, mark: number): void {
    if (result.kind === 'passed') {
      this.#passed(result.degraded);
    } else if (result.failure === 'NETWORK' && (this.#tools.stalls?.since(mark) ?? 0) > 0) {
      // What broke while this process did not look says nothing about the host: ask once more.
      this.#wait(false, 'pending');
    } else {
      if (result.excludes) this.#state.excluded = true;
      this.#failed(result.failure, result.isRetriable, result.message, true);
    }
  }

  #passed(degraded: boolean): void {
    const before = this.#before();
    const transition = pass(this.#state, degraded, this.#check);
    this.#tell({ ...before, passed: true, failure: undefined, transition, message: '' });
    this.#wait(true, transition);
  }

  #failed(failure: CheckFailure, isRetriable: boolean, message: string, ofCheck = false): void {
    const before = this.#before();
    const transition = fail(this.#state, failure, isRetriable, this.#check);
    this.#tell({ ...before, passed: false, failure, transition, message });
    // Envoy: what a response said changes nothing about when the next check is due.
    if (ofCheck) this.#wait(false, transition);
  }

  #before() {
    const { isFirst, failed: wasFailed, degraded: wasDegraded } = this.#state;
    return { isFirst, wasFailed, wasDegraded };
  }

  #tell(outcome: CheckOutcome): void {
    this.#tools.onResult(this.#host, outcome);
  }

  #wait(passed: boolean, transition: Transition): void {
    // Hearing of the result may have ended the session.
    if (this.#isClosed) return;
    const { agenda, hasTraffic, random } = this.#tools;
    const last = { passed, transition, hasTraffic: hasTraffic() };
    this.#next = agenda.schedule(nextInterval(this.#check, last, random), () => this.#begin());
  }
}
