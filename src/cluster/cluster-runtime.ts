import type { Cluster } from '../model/cluster.js';
import type { ResolvedCluster } from '../model/snapshot.js';
import type { TcpTunnel } from '../model/tcp-proxy.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Logger } from '../runtime/log.js';
import type { Request, Response } from '../service/service.js';
import type { Breakers } from './breaker.js';
import type { ClusterStats } from './cluster-stats.js';
import type { ConnectionCount } from './connection-permits.js';
import type { DnsCaches } from './dns-caches.js';
import type { Shed } from './drop-overload.js';
import type { ForwardProxyHosts } from './forward-proxy.js';
import type { CheckTools } from './health/checks.js';
import type { Host } from './host.js';
import type { HostSet } from './host-set.js';
import type { PickContext } from './lb/load-balancer.js';
import type { CompileHash } from './lb/policies.js';
import type { LoadLedger } from './load/load-ledger.js';
import type { ReadLoad } from './orca/hear-load.js';
import type { OpenReportStream } from './orca/report-stream.js';
import type { ResolveName } from './resolve-name.js';
import type { DialDone } from './transport.js';
import type { LocalZone } from './zone.js';

/** What every cluster is built with. */
export interface ClusterTools extends CheckTools {
  /** Where this process is, for zone-aware routing; undefined = that is off. */
  readonly zone?: LocalZone | undefined;
  /** For hash policies of load balancing policies. */
  readonly compileHash?: CompileHash | undefined;
  readonly logger: Logger;
  /** Counts what is reported to the control plane; undefined = nothing is. */
  readonly loads?: LoadLedger | undefined;
  /** Reads what responses say of the load of their hosts; undefined = nobody does. */
  readonly readLoad?: ReadLoad | undefined;
  /** Asks hosts to report their load over streams; undefined = nobody does. */
  readonly openReportStream?: OpenReportStream | undefined;
  /** How names of DNS clusters are resolved; by default with the platform's name servers. */
  readonly resolveName?: ResolveName;
  /** The names that dynamic forward proxies share; by default each cluster has its own. */
  readonly dnsCaches?: DnsCaches;
}

/** A cluster at work. */
export interface ClusterRuntime {
  readonly name: string;
  readonly config: Cluster;
  readonly breakers: Breakers;
  /** Its open connections, counted over all endpoints. */
  readonly connections: ConnectionCount;
  /**
   * Settles when the endpoints are known (at once, or for DNS clusters after the first answers), and each was checked
   * once where there are active health checks.
   */
  readonly ready: Promise<void>;
  /** Chooses a host for an attempt; undefined when there is no usable one. */
  pick(context: PickContext): Host | undefined;
  /** Whether a request is to be dropped before it gets a host (Envoy `drop_overload`); draws anew with each call. */
  shed(): Shed | undefined;
  /** The circuit breaker let a request not go to one of its hosts. */
  overflowed(): void;
  /** The cluster that a host which was picked belongs to: this one, or a member of an aggregate. */
  memberOf(host: Host): ClusterRuntime;
  /** The hosts by what may be done with them now; index = priority. A new list whenever that changes. */
  readonly hostSets: readonly HostSet[];
  /**
   * Sends one attempt to a host. Counts it until its trailers settle and tells outlier detection how it went.
   * Rejects with a TransportError when there is no response.
   */
  send(host: Host, request: Request): Promise<Response>;
  /**
   * Opens a connection of any kind to a host, or a tunnel through it, counts it until it is closed, and tells outlier
   * detection whether it came about. Undefined when the circuit breaker has none left.
   */
  dial(host: Host, done: DialDone, tunnel?: TcpTunnel): Unsubscribe | undefined;
  /** A per-try or route timeout ended an attempt at this host. */
  reportTimeout(host: Host): void;
  /** The names it has hosts for, where requests bring them (dynamic forward proxy). */
  readonly forwardProxy?: ForwardProxyHosts | undefined;
  /** Applies a new assignment. */
  update(resolved: ResolvedCluster): void;
  stats(): ClusterStats;
  /** The hosts by address, for a successor. */
  readonly hosts: ReadonlyMap<string, Host>;
  /** Lets running exchanges finish and closes the connections, except those of hosts that `kept` took over. */
  close(kept?: ReadonlyMap<string, Host>): Promise<void>;
}
