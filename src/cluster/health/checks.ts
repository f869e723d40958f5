import type { Cluster } from '../../model/cluster.js';
import type { Agenda } from '../../runtime/agenda.js';
import { createAgenda } from '../../runtime/agenda.js';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import { patientClock, type Stalls } from '../../runtime/stalls.js';
import type { Observer } from '../../service/observer.js';
import type { Host } from '../host.js';
import type { Transport } from '../transport.js';
import { createHealthMonitor, type HealthMonitor, type HealthMonitorTools } from './monitor.js';
import type { OpenProbe } from './probe.js';

/** What the checks of a cluster are made with. */
export interface CheckTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly observer: Observer;
  /** Failures while this process itself was stalled are nobody's fault; undefined = it never is. */
  readonly stalls?: Stalls;
  /** One for all clusters of a process; by default one of its own. */
  readonly agenda?: Agenda;
  /** How hosts are asked; needed where a cluster has active health checks. */
  readonly probe?: OpenProbe;
}

/** Starts the active health checks of a cluster; undefined when it has none. */
export function startChecks(
  cluster: Cluster,
  hosts: ReadonlyMap<string, Host>,
  tools: CheckTools,
  hooks: Pick<HealthMonitorTools, 'hasTraffic' | 'onChange' | 'onPassed'>,
): HealthMonitor | undefined {
  const { healthCheck: check, name } = cluster;
  if (check === undefined) return undefined;
  const { clock, random, stalls, transport, observer, agenda = createAgenda(clock), probe } = tools;
  if (probe === undefined) throw new TypeError(`nothing can check the hosts of the cluster ${name}`);
  return createHealthMonitor(check, hosts, {
    agenda,
    timeouts: stalls === undefined ? clock : patientClock(clock, stalls),
    random,
    stalls,
    open: (host) => probe({ check, cluster, host, transport }),
    ignoresNewHosts: cluster.ignoreNewHostsUntilFirstCheck ?? false,
    onEvent: (event) => observer.health?.({ cluster: name, ...event }),
    ...hooks,
  });
}

/** Whether hosts that discovery drops stay for as long as they pass (Envoy: where discovery is dynamic). */
export function keepsPassingHosts({ healthCheck, ignoreHealthOnHostRemoval, discovery }: Cluster): boolean {
  const isDynamic = discovery.kind === 'eds' || discovery.kind === 'strict-dns';
  return healthCheck !== undefined && ignoreHealthOnHostRemoval !== true && isDynamic;
}
