import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import type { ConnectionLogger } from '../../service/exchange-logger.js';
import type { Observer } from '../../service/observer.js';
import type { TcpListener } from './listener.js';

/** What the TCP bindings need of a mesh. */
export interface TcpCore {
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: Observer;
  /**
   * The listener for a host and port: undefined when it is none of the mesh's, `blocked` when nothing else may be called,
   * `unknown` while there is no configuration that could tell, and it is coming or the name looks like one of the mesh's.
   * @throws MeshError `INMESH_CLOSED`.
   */
  tcpListener(host: string, port: number): TcpListener | 'unknown' | 'blocked' | undefined;
  /** The access log of connections that find no route; undefined when there is none. */
  readonly ownConnectionLog: ConnectionLogger | undefined;
  whenConfigured(origin?: string | URL): Promise<void>;
}

/** A host as an origin, for `whenConfigured`. */
export function tcpOrigin(host: string): string {
  return `tcp://${host.includes(':') ? `[${host}]` : host}`;
}
