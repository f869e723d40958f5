import type { Cluster } from '../../model/cluster.js';
import { backendTlsFor } from '../gateway-api/backend-tls.js';
import { clientCertificateOf, gatewayApiState } from '../gateway-api/state.js';
import { apiCertificateSecret } from '../kinds/credential.js';
import { derived } from '../kinds/derived.js';
import type { ConfigView } from '../kinds/view.js';
import type { Profile } from './profile.js';

/** What a BackendTLSPolicy makes of the cluster for a port of a service. */
export type BackendTlsFields = (
  cluster: string,
  host: string,
  port: { readonly name: string },
  alpn: readonly string[],
) => Partial<Cluster>;

const NOTHING: Partial<Cluster> = {};

/** The BackendTLSPolicies of a view, as a client follows them that shows a certificate of its gateway, where it has one. */
export function backendTlsFields(view: ConfigView, certificate: string | undefined): BackendTlsFields {
  return (cluster, host, { name }, alpn) => {
    const found = backendTlsFor(view, host, name);
    if (found === undefined) return NOTHING;
    // Gateway API: connections that rest on a reference that is not good must fail.
    if (found.unresolved !== undefined || found.notAccepted !== undefined) return nowhere(cluster);
    const { serverName, names, roots } = found;
    return {
      tls: {
        mode: 'simple',
        sni: serverName,
        subjectAltNames: names.map((value) => ({ kind: 'exact', value, ignoreCase: false })),
        alpn,
        ...(roots !== undefined && { roots: { kind: 'inline', pem: roots } }),
        ...(certificate !== undefined && { secrets: { certificate } }),
      },
      transportSocketMatches: [],
    };
  };
}

function nowhere(clusterName: string): Partial<Cluster> {
  const assignment = {
    clusterName,
    localities: [],
    overprovisioningFactor: 140,
    weightedPriorityHealth: false,
  };
  return { discovery: { kind: 'static', assignment }, tls: undefined, transportSocketMatches: [] };
}

/** What the Gateway that the client belongs to shows to backends. */
export function gatewayCertificate(view: ConfigView, { envoy }: Profile): string | undefined {
  if (envoy === undefined || envoy.gateways.length === 0) return undefined;
  return certificates(view).find(({ prefix }) => envoy.gateways.some((name) => name.startsWith(prefix)))
    ?.name;
}

/** Of all Gateways that have one. */
const certificates = derived((view) =>
  gatewayApiState(view).gateways.flatMap((state) => {
    const { namespace, name } = state.gateway;
    const certificate = clientCertificateOf(state);
    if (certificate === undefined) return [];
    return [
      {
        prefix: `${namespace}/${name}~`,
        name: apiCertificateSecret(certificate.namespace, certificate.name),
      },
    ];
  }),
);
