import type { HealthCheck } from '../../model/health-check.js';
import type { HealthEvent } from '../../service/observer.js';
import type { Host } from '../host.js';
import type { Probe } from './probe.js';
import { type CheckOutcome, CheckSession, type SessionTools } from './session.js';
import { CheckState, isNetworkFailure } from './state.js';

/** State of the active health checks of one cluster (Envoy `health_check.*`). */
export interface HealthCheckStats {
  readonly attempts: number;
  readonly successes: number;
  readonly failures: number;
  /** Of the failures: connections that could not be made, broke, or timed out. */
  readonly networkFailures: number;
  /** Of the failures: said by responses to requests. */
  readonly passiveFailures: number;
  /** Hosts that pass now. */
  readonly healthy: number;
  /** Hosts that call themselves degraded now. */
  readonly degraded: number;
}

export interface HealthMonitorTools extends Omit<SessionTools, 'onStart' | 'onResult'> {
  readonly open: (host: Host) => Probe;
  /** Envoy `ignore_new_hosts_until_first_hc`. */
  readonly ignoresNewHosts: boolean;
  /** The health of a host changed. */
  readonly onChange: (host: Host) => void;
  /** A check passed, and the host is healthy as far as checks go. */
  readonly onPassed: (host: Host) => void;
  readonly onEvent: (event: Omit<HealthEvent, 'cluster'>) => void;
}

/** Keeps asking the hosts of a cluster for their health. */
export interface HealthMonitor {
  /** Settles when every host that was there at first has had its first result. */
  readonly firstRound: Promise<void>;
  /** Makes these the hosts that are checked. */
  update(hosts: ReadonlyMap<string, Host>): void;
  /** A response to a request carried `x-envoy-immediate-health-check-fail`. */
  failNow(host: Host): void;
  stats(): HealthCheckStats;
  close(): void;
}

/** Starts checking the given hosts. */
export function createHealthMonitor(
  check: HealthCheck,
  hosts: ReadonlyMap<string, Host>,
  tools: HealthMonitorTools,
): HealthMonitor {
  return new Monitor(check, hosts, tools);
}

class Monitor implements HealthMonitor {
  readonly firstRound: Promise<void>;
  readonly #check: HealthCheck;
  readonly #tools: HealthMonitorTools;
  readonly #sessions = new Map<Host, CheckSession>();
  /** Hosts of the first round that are still to answer. */
  readonly #awaited = new Set<Host>();
  #endRound!: () => void;
  #attempts = 0;
  #successes = 0;
  #failures = 0;
  #networkFailures = 0;
  #passiveFailures = 0;

  constructor(check: HealthCheck, hosts: ReadonlyMap<string, Host>, tools: HealthMonitorTools) {
    this.#check = check;
    this.#tools = tools;
    this.firstRound = new Promise((resolve) => {
      this.#endRound = resolve;
    });
    for (const host of hosts.values()) if (isChecked(host)) this.#awaited.add(host);
    this.update(hosts);
    if (this.#awaited.size === 0) this.#endRound();
  }

  update(hosts: ReadonlyMap<string, Host>): void {
    for (const [host, session] of this.#sessions) {
      if (hosts.get(host.address) === host && isChecked(host)) continue;
      session.close();
      this.#sessions.delete(host);
      if (!isChecked(host)) host.check = undefined;
      this.#heard(host);
    }
    for (const host of hosts.values()) {
      if (isChecked(host) && !this.#sessions.has(host)) this.#start(host);
    }
  }

  failNow(host: Host): void {
    this.#sessions.get(host)?.failNow();
  }

  stats(): HealthCheckStats {
    let healthy = 0;
    let degraded = 0;
    for (const { check } of this.#sessions.keys()) {
      if (check?.failed === false) healthy++;
      if (check?.degraded === true) degraded++;
    }
    return {
      attempts: this.#attempts,
      successes: this.#successes,
      failures: this.#failures,
      networkFailures: this.#networkFailures,
      passiveFailures: this.#passiveFailures,
      healthy,
      degraded,
    };
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
    this.#endRound();
  }

  #start(host: Host): void {
    host.check ??= newState(this.#tools.ignoresNewHosts);
    const state = host.check;
    const session = new CheckSession(host, state, this.#check, this.#tools.open(host), {
      ...this.#tools,
      onStart: () => {
        this.#attempts++;
      },
      onResult: (subject, outcome) => this.#result(subject, outcome),
    });
    this.#sessions.set(host, session);
    session.start();
  }

  #result(host: Host, outcome: CheckOutcome): void {
    this.#count(outcome);
    this.#report(host, outcome);
    if (outcome.passed && host.check?.failed === false) this.#tools.onPassed(host);
    if (outcome.transition === 'changed') this.#tools.onChange(host);
    this.#heard(host);
  }

  #count({ passed, failure }: CheckOutcome): void {
    if (passed) this.#successes++;
    else this.#failures++;
    if (failure === 'PASSIVE') this.#passiveFailures++;
    else if (failure !== undefined && isNetworkFailure(failure)) this.#networkFailures++;
  }

  /** Envoy: ejections, returns and changes of degradation; failures of the first check; the rest when asked for. */
  #report(host: Host, outcome: CheckOutcome): void {
    const { passed, isFirst, wasFailed, wasDegraded, transition } = outcome;
    const { alwaysLogFailures, alwaysLogSuccess } = this.#check;
    const isFailed = host.check?.failed ?? false;
    const isDegraded = host.check?.degraded ?? false;
    if (wasFailed !== isFailed) this.#tell(host, isFailed ? 'ejected' : 'added', outcome);
    if (passed) {
      if (alwaysLogSuccess && (transition !== 'changed' || wasFailed === isFailed)) {
        this.#tell(host, 'passed', outcome);
      }
      if (wasDegraded !== isDegraded) this.#tell(host, isDegraded ? 'degraded' : 'undegraded', outcome);
    } else if (isFirst || alwaysLogFailures) {
      this.#tell(host, 'failed', outcome);
    }
  }

  #tell(host: Host, event: HealthEvent['event'], { isFirst, failure, message }: CheckOutcome): void {
    const checker = this.#check.checker.kind;
    this.#tools.onEvent({
      host: host.address,
      checker,
      event,
      firstCheck: isFirst,
      failure,
      message,
    });
  }

  #heard(host: Host): void {
    if (this.#awaited.delete(host) && this.#awaited.size === 0) this.#endRound();
  }
}

function newState(ignoresNewHosts: boolean): CheckState {
  const state = new CheckState();
  state.pending = ignoresNewHosts;
  return state;
}

/** Hands a host over from a cluster to its successor, which checks it afresh, or not at all. */
export function handOver(host: Host, isChecked: boolean): void {
  if (!isChecked) {
    host.check = undefined;
    return;
  }
  const known = host.check;
  const state = new CheckState();
  state.failed = known?.failed ?? false;
  state.degraded = known?.degraded ?? false;
  state.excluded = known?.excluded ?? false;
  state.provisional = true;
  host.check = state;
}

function isChecked({ endpoint }: Host): boolean {
  return endpoint.healthCheck?.isDisabled !== true;
}
