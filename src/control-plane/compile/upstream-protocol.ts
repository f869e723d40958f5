import {
  DEFAULT_HTTP2_OPTIONS,
  type Http2Options,
  type UpstreamProtocol,
} from '../../model/upstream-protocol.js';
import type { ConnectionPoolSettings } from '../kinds/types.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { isHttp2Port, isHttpPort, type ServicePort } from '../mesh/port-protocol.js';

/** Istio: as many streams as a server allows. */
const UNLIMITED_STREAMS = 1_073_741_824;

/**
 * What is spoken to the endpoints of a port (Istio): HTTP/2 where the port says so or the DestinationRule asks for the
 * upgrade, what the caller speaks where it asks for that, else HTTP/1.1, which is undefined.
 */
export function protocolOfCluster(
  port: ServicePort,
  settings: ConnectionPoolSettings['http'],
  { connections }: Pick<MeshConfig, 'connections'>,
): UpstreamProtocol | undefined {
  if (settings?.useClientProtocol === true) return { kind: 'downstream', http2: http2OptionsOf(settings) };
  const { h2UpgradePolicy: own = 'DEFAULT' } = settings ?? {};
  const upgrades = own === 'UPGRADE' || (own === 'DEFAULT' && connections.upgradesToHttp2);
  if (!isHttp2Port(port) && !(upgrades && isHttpPort(port))) return undefined;
  return { kind: 'http2', http2: http2OptionsOf(settings) };
}

/** How HTTP/2 is spoken to endpoints. */
export function http2OptionsOf(settings: ConnectionPoolSettings['http']): Http2Options {
  const { maxConcurrentStreams, http2KeepAlive } = settings ?? {};
  return {
    ...DEFAULT_HTTP2_OPTIONS,
    // Istio: zero is unset.
    maxConcurrentStreams: maxConcurrentStreams || UNLIMITED_STREAMS,
    keepalive: http2KeepAlive && {
      intervalMs: http2KeepAlive.interval,
      timeoutMs: http2KeepAlive.timeout,
      jitterPercent: 15,
      idleIntervalMs: 0,
    },
  };
}
