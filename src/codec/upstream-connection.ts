import { create } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.js';
import { cluster, core } from '../proto/xds.js';
import { decodeSocketAddress } from './address.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const connectionFields = onlyFields(() => cluster.UpstreamConnectionOptionsSchema, {
  enforced: ['tcp_keepalive'],
});

/** Node lets no more be chosen than when probes begin. */
const keepaliveFields = onlyFields(() => core.TcpKeepaliveSchema, { enforced: ['keepalive_time'] });

/** When TCP probes a silent connection; undefined where nothing is said. */
export function decodeKeepalive(
  options: cluster.UpstreamConnectionOptions | undefined,
  path: Path,
): number | undefined {
  if (options === undefined) return undefined;
  connectionFields(options, path);
  const { tcpKeepalive } = options;
  if (tcpKeepalive === undefined) return undefined;
  keepaliveFields(tcpKeepalive, at(path, 'tcp_keepalive'));
  return tcpKeepalive.keepaliveTime === undefined ? undefined : tcpKeepalive.keepaliveTime * 1000;
}

/** Writes it into the message. */
export function encodeKeepalive({ tcpKeepaliveMs }: Cluster, message: cluster.Cluster): void {
  if (tcpKeepaliveMs === undefined) return;
  message.upstreamConnectionOptions = create(cluster.UpstreamConnectionOptionsSchema, {
    tcpKeepalive: { keepaliveTime: Math.ceil(tcpKeepaliveMs / 1000) },
  });
}

const bindFields = onlyFields(() => core.BindConfigSchema, { enforced: ['source_address'] });

/** The local address that connections come from. */
export function decodeBindConfig(config: core.BindConfig | undefined, path: Path): string | undefined {
  if (config === undefined) return undefined;
  bindFields(config, path);
  const sourcePath = at(path, 'source_address');
  if (config.sourceAddress === undefined) return undefined;
  const { address, port } = decodeSocketAddress(config.sourceAddress, 'ip', sourcePath);
  // One port would do for one connection.
  if (port !== 0) refuse(at(sourcePath, 'port_value'), 'must be 0');
  return address;
}

/** Writes it into the message. */
export function encodeBindConfig({ sourceAddress }: Cluster, message: cluster.Cluster): void {
  if (sourceAddress === undefined) return;
  const source = create(core.SocketAddressSchema, {
    address: sourceAddress,
    portSpecifier: { case: 'portValue', value: 0 },
  });
  message.upstreamBindConfig = create(core.BindConfigSchema, { sourceAddress: source });
}
