import type { Cluster } from '../../model/cluster.js';
import type { LbPolicy } from '../../model/lb-policy.js';
import type { Host } from '../host.js';
import type { Transport } from '../transport.js';
import { type ReportCounts, ReportSession, type ReportTools } from './report-session.js';
import type { OpenReportStream } from './report-stream.js';

/** State of the streams over which the hosts of a cluster report their load (Envoy `lb_orca_oob`). */
export interface LoadStreamStats extends Readonly<ReportCounts> {
  /** Hosts that have a stream, or wait for the next one. */
  readonly active: number;
}

/** The streams over which the hosts of one cluster report their load. Each begins with the first request to its host. */
export class ReportSessions {
  readonly #cluster: Cluster;
  readonly #periodMs: number;
  readonly #transport: Transport;
  readonly #tools: ReportTools;
  readonly #sessions = new Map<Host, ReportSession>();
  readonly #counts: ReportCounts = { reports: 0, failures: 0, terminated: 0 };

  constructor(
    cluster: Cluster,
    periodMs: number,
    { transport, ...tools }: ReportTools & { readonly transport: Transport },
  ) {
    this.#cluster = cluster;
    this.#periodMs = periodMs;
    this.#transport = transport;
    this.#tools = tools;
  }

  /** A request goes to the host. */
  use(host: Host): void {
    if (this.#sessions.has(host)) return;
    const target = {
      cluster: this.#cluster,
      host,
      transport: this.#transport,
      periodMs: this.#periodMs,
    };
    const session = new ReportSession(target, this.#counts, () => this.drop(host), this.#tools);
    this.#sessions.set(host, session);
  }

  /** No connection to the host could be made: what comes back at its address may be a server that reports. */
  unreachable(host: Host): void {
    if (this.#sessions.get(host)?.isGivenUp === true) this.drop(host);
  }

  /** The host is gone, or what answers at its address may be another one now. */
  drop(host: Host): void {
    this.#sessions.get(host)?.close();
    this.#sessions.delete(host);
  }

  stats(): LoadStreamStats {
    return { ...this.#counts, active: this.#sessions.size };
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
  }
}

/** The streams of a cluster; undefined when its hosts are not asked to report over streams. */
export function reportSessions(
  cluster: Cluster,
  tools: Omit<ReportTools, 'open'> & {
    readonly transport: Transport;
    readonly openReportStream?: OpenReportStream | undefined;
  },
): ReportSessions | undefined {
  const { clock, random, agenda, transport, openReportStream: open } = tools;
  const periodMs = reportPeriodOf(cluster.lbPolicy);
  if (periodMs === undefined) return undefined;
  if (open === undefined)
    throw new TypeError(`nothing can ask the hosts of the cluster ${cluster.name} for their load`);
  return new ReportSessions(cluster, periodMs, { clock, random, agenda, transport, open });
}

/** How often the hosts of a cluster are to report over streams; undefined = they are not. */
function reportPeriodOf(policy: LbPolicy): number | undefined {
  switch (policy.kind) {
    case 'client-side-wrr':
      return policy.oobPeriodMs;
    case 'subset':
    case 'override-host':
      return reportPeriodOf(policy.child);
    default:
      return undefined;
  }
}
