import { type SocketAddress, splitHostPort } from '../../../model/address.js';
import type { HttpFilter } from '../../../model/filter-config.js';
import type { InboundListener } from '../../../model/listener.js';
import type { NodeMetadata } from '../../../model/node.js';
import { INBOUND_FILTERS } from '../fault.js';
import { inboundHttp } from '../listeners.js';
import type { MtlsMode } from '../peer-authentication.js';

const PLACE = '%s';

/** The address in the name of a server's listener (gRFC A36: `server_listener_resource_name_template`). */
export function servedAddress(name: string, template: string): SocketAddress | undefined {
  const [prefix = '', suffix = '', ...more] = template.split(PLACE);
  if (more.length > 0 || !name.startsWith(prefix) || !name.endsWith(suffix)) return undefined;
  const { host, port } = splitHostPort(name.slice(prefix.length, name.length - suffix.length));
  return host === '' || port === undefined ? undefined : { address: host, port };
}

/** What holds for those who call a gRPC server, and what the server says of itself. */
export interface GrpcServerRules {
  readonly mode: MtlsMode;
  readonly metadata: NodeMetadata;
  /** What decides about calls, in this order. */
  readonly http: readonly HttpFilter[];
}

/**
 * The listener of a gRPC server. gRPC can't tell TLS from plaintext on one port (gRFC A36), so there is one chain. As
 * Istio decides: mTLS where it is STRICT, and where it is PERMISSIVE for workloads that say they speak it.
 */
export function grpcServerListener(
  name: string,
  { address, port }: SocketAddress,
  { mode, metadata, http }: GrpcServerRules,
): InboundListener {
  const isMutual = mode === 'STRICT' || (mode === 'PERMISSIVE' && speaksMutualTls(metadata, port));
  // gRFC A39: gRPC's servers refuse a listener with a filter that they do not know.
  const { routes, filters } = inboundHttp(port, { filters: [...http, ...INBOUND_FILTERS] });
  return {
    kind: 'inbound',
    name,
    address: { address, port },
    filterChains: [
      {
        name: isMutual ? 'inbound-mtls' : 'inbound-plaintext',
        transportProtocol: '',
        tls: isMutual ? { requireClientCertificate: true, alpn: [] } : undefined,
        http: { routes, filters },
      },
    ],
  };
}

function speaksMutualTls({ LABELS, INMESH_WORKLOADS = [] }: NodeMetadata, port: number): boolean {
  if (LABELS['security.istio.io/tlsMode'] === 'istio') return true;
  return INMESH_WORKLOADS.some((one) => one.port === port && one.tlsMode === 'istio');
}
