import type { OutboundListener } from '../../model/listener.js';
import type { RouteConfiguration, VirtualHost } from '../../model/route.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { clusterName } from '../mesh/names.js';
import type { MeshService } from '../mesh/services.js';
import { catchAllForward, catchAllHost } from './catch-all-host.js';
import { outboundListener } from './listeners.js';
import type { Profile } from './profile.js';
import type { Target } from './route-context.js';
import { targetOf } from './routes.js';

const NAME = 'block_all';

/** Istio's REGISTRY_ONLY: requests for unknown hosts are answered with 502. */
export const BLOCK_HOST: VirtualHost = catchAllHost(NAME, {
  kind: 'direct-response',
  status: 502,
  body: '',
});

/**
 * What takes the hosts that the mesh does not know; undefined = they are let through. Istio: the Sidecar's word goes before
 * the mesh's, and one that speaks of it without a mode means REGISTRY_ONLY.
 */
export function unknownHostOf(
  { sidecar, namespace }: Pick<Profile, 'sidecar' | 'namespace'>,
  mesh: MeshConfig,
  serviceOf: (host: string) => MeshService | undefined,
): VirtualHost | undefined {
  const own = sidecar?.spec.outboundTrafficPolicy;
  const mode = own === undefined ? mesh.outboundTrafficPolicy : (own.mode ?? 'REGISTRY_ONLY');
  if (mode === 'REGISTRY_ONLY') return BLOCK_HOST;
  const proxy = own?.egressProxy;
  // Without a port of its own it is the only one of the service, or that of plain HTTP.
  return proxy && egressProxyHost(targetOf(proxy, namespace, { serviceOf, port: 80 }));
}

/** The virtual host that takes all hosts that no other does, and sends their requests to a proxy. */
function egressProxyHost({ host, port, subset }: Target): VirtualHost {
  return catchAllForward('egress_proxy', clusterName(port, subset, host));
}

/** The listener `*` takes every host that no other listener knows. */
export function unknownHosts(virtualHost: VirtualHost): UnknownHosts {
  const { name } = virtualHost;
  return {
    listener: outboundListener('*', name, virtualHost.routes),
    routes: { name, virtualHosts: [virtualHost] },
  };
}

interface UnknownHosts {
  readonly listener: OutboundListener;
  readonly routes: RouteConfiguration;
}
