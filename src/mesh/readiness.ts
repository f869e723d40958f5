import type { OpenProbe, Probe, ProbeResult } from '../cluster/health/probe.js';
import { networkFailure } from '../cluster/health/probe.js';
import { Host } from '../cluster/host.js';
import type { Transport } from '../cluster/transport.js';
import { transportOptions } from '../cluster/transport-options.js';
import type { Cluster } from '../model/cluster.js';
import type { NodeMetadata } from '../model/node.js';
import type { Snapshot } from '../model/snapshot.js';
import { Abort } from '../runtime/abort.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { isEqual } from '../runtime/equal.js';
import type { Logger } from '../runtime/log.js';

export type ReadinessState = NonNullable<NodeMetadata['INMESH_HEALTH']>;

/** What a process asks itself with. */
export interface ReadinessTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly open: OpenProbe;
  readonly transport: Transport;
  /** The process is ready now, or not any more. */
  readonly onChange: () => void;
}

/**
 * Asks this process for its health again and again, as its WorkloadGroup says (Istio: the agent beside a workload does). So
 * many answers in a row that are good, or bad, as the check has for its thresholds change what is told of it.
 */
export class Readiness {
  readonly #tools: ReadinessTools;
  #cluster: Cluster | undefined;
  #probe: Probe | undefined;
  #next: Timer | undefined;
  #state: ReadinessState | undefined;
  #inARow = { isGood: true, count: 0 };

  constructor(tools: ReadinessTools) {
    this.#tools = tools;
  }

  /** What it found out last; undefined = nothing yet, or nobody wants to know. */
  get state(): ReadinessState | undefined {
    return this.#state;
  }

  /** Asks as this says from now on; undefined = no more. */
  follow(cluster: Cluster | undefined): void {
    if (cluster === this.#cluster || isEqual(cluster, this.#cluster)) return;
    this.close();
    this.#cluster = cluster;
    this.#inARow = { isGood: true, count: 0 };
    if (cluster === undefined) {
      this.#tell(undefined);
      return;
    }
    this.#probe = this.#open(cluster);
    if (this.#probe !== undefined) this.#ask(this.#probe, cluster);
  }

  close(): void {
    this.#next?.cancel();
    this.#probe?.close();
    this.#next = undefined;
    this.#probe = undefined;
  }

  #open(cluster: Cluster): Probe | undefined {
    const { healthCheck: check, discovery } = cluster;
    const endpoint =
      discovery.kind === 'static' ? discovery.assignment.localities[0]?.endpoints[0] : undefined;
    if (check === undefined || endpoint === undefined) return undefined;
    const { open, transport } = this.#tools;
    const locality = { region: '', zone: '', subZone: '' };
    const host = new Host({ endpoint, locality, priority: 0 }, (one) =>
      transport(one, transportOptions(cluster, one)),
    );
    return open({ check, cluster, host, transport });
  }

  #ask(probe: Probe, { healthCheck: check }: Cluster): void {
    if (check === undefined) return;
    const { clock } = this.#tools;
    const abort = new Abort();
    let isOver = false;
    const end = (result: ProbeResult) => {
      if (isOver || this.#probe !== probe) return;
      isOver = true;
      timer.cancel();
      this.#heard(result, check);
      this.#next = clock.schedule(check.intervalMs, () => {
        if (this.#cluster !== undefined) this.#ask(probe, this.#cluster);
      });
    };
    const timer = clock.schedule(check.timeoutMs, () => {
      end(networkFailure(`no answer within ${check.timeoutMs} ms`));
      abort.abort(new Error('the probe took too long'));
    });
    probe.run(abort).then(end, (error: unknown) => end(networkFailure(String(error))));
  }

  #heard(result: ProbeResult, check: NonNullable<Cluster['healthCheck']>): void {
    const isGood = result.kind === 'passed';
    const { isGood: before, count } = this.#inARow;
    this.#inARow = { isGood, count: isGood === before ? count + 1 : 1 };
    if (this.#inARow.count < (isGood ? check.healthyThreshold : check.unhealthyThreshold)) return;
    const state = isGood ? 'healthy' : 'unhealthy';
    if (state === this.#state) return;
    if (result.kind === 'failed')
      this.#tools.logger.warn({ error: result.message }, 'this process is not ready: its probe fails');
    this.#tell(state);
  }

  #tell(state: ReadinessState | undefined): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#tools.onChange();
  }
}

/** What the listeners of served ports say; undefined = nothing. */
export function readinessIn({ inbound }: Snapshot): Cluster | undefined {
  for (const { readiness } of inbound.values()) if (readiness !== undefined) return readiness;
  return undefined;
}
