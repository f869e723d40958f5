import type { ClusterRuntime } from '../../cluster/cluster.js';
import type { AccessLog } from '../../model/access-log.js';
import type { MetadataStruct } from '../../model/metadata.js';
import type { TcpProxy, TcpTunnel } from '../../model/tcp-proxy.js';
import type { RequestHash } from '../../routing/hash-policy.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import type { MeshError } from '../../runtime/errors.js';
import type { Random } from '../../runtime/random.js';
import type { RawConnection } from '../../service/connection.js';
import type { ConnectionLogger } from '../../service/exchange-logger.js';
import type { Observer } from '../../service/observer.js';
import type { Request } from '../../service/service.js';
import type { PeerExchange } from '../peer-exchange.js';

/** What connections are made with. */
export interface ProxyTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: Observer;
  readonly cluster: (name: string) => ClusterRuntime | undefined;
  /** The logger of a chain's access logs; undefined when it has none. */
  readonly connectionLog: (logs: readonly AccessLog[] | undefined) => ConnectionLogger | undefined;
  /** Address of this process. */
  readonly sourceAddress: string;
  readonly peers?: PeerExchange | undefined;
}

/** Hears how an attempt to connect ended. */
export type ConnectDone = (error: MeshError | null, connection?: RawConnection) => void;

/** Where a connection goes, and for how long. */
export interface TcpRoute {
  /** Pause in both directions after which it is closed; 0 = never. */
  readonly idleTimeoutMs: number;
  /** How long this connection may live; undefined = no limit. */
  lifeMs(): number | undefined;
  /** Connects to a host of the chosen cluster. `done` runs once; the returned function gives up before that. */
  connect(request: Request, done: ConnectDone): Unsubscribe;
  /** Writes its access logs; undefined when it has none. */
  readonly log: ConnectionLogger | undefined;
}

/** How hosts are chosen and connected to, but for the cluster. */
export interface ConnectPolicy {
  readonly maxAttempts: number;
  readonly backoff: TcpProxy['connectBackoff'];
  readonly hash: RequestHash | undefined;
  readonly metadataMatch: MetadataStruct | undefined;
  /** What hosts are asked to carry the connection to; undefined = they are the other end. */
  readonly tunnel: TcpTunnel | undefined;
}
