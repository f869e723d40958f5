import { KIND_NAMES } from './kinds.js';
import type { KindName } from './types.js';

/** The short names of kinds, as Istio's and Kubernetes' definitions have them, and ours. */
const SHORT_NAMES: { readonly [K in KindName]?: string } = {
  VirtualService: 'vs',
  DestinationRule: 'dr',
  ServiceEntry: 'se',
  WorkloadEntry: 'we',
  WorkloadGroup: 'wg',
  Gateway: 'gw',
  PeerAuthentication: 'pa',
  RequestAuthentication: 'ra',
  AuthorizationPolicy: 'ap',
  RateLimitPolicy: 'rl',
  FailureRateBreaker: 'frb',
  GatewayClass: 'gc',
  'Gateway.gateway.networking.k8s.io': 'gtw',
  ListenerSet: 'lset',
  ReferenceGrant: 'refgrant',
  BackendTLSPolicy: 'btlspolicy',
  Service: 'svc',
  Endpoints: 'ep',
  Pod: 'po',
  Deployment: 'deploy',
  StatefulSet: 'sts',
  DaemonSet: 'ds',
  Namespace: 'ns',
  ServiceAccount: 'sa',
  ConfigMap: 'cm',
};

/** The plural of a kind in lower case, as resources are called: `virtualservices`; with the group where the kind has it. */
export function pluralOf(kind: KindName): string {
  const [name = '', ...group] = kind.toLowerCase().split('.');
  return [pluralWord(name), ...group].join('.');
}

function pluralWord(name: string): string {
  if (name.endsWith('class')) return `${name}es`;
  if (name.endsWith('s')) return name;
  return name.endsWith('y') && !name.endsWith('ay') ? `${name.slice(0, -1)}ies` : `${name}s`;
}

const BY_NAME: ReadonlyMap<string, KindName> = new Map(
  KIND_NAMES.flatMap((kind) =>
    [kind.toLowerCase(), pluralOf(kind), SHORT_NAMES[kind]].flatMap((name) =>
      name === undefined ? [] : [[name, kind] as const],
    ),
  ),
);

/** The kind that a text means: its name, its plural or its short name, in whatever case; undefined = none. */
export function kindNamed(text: string): KindName | undefined {
  return BY_NAME.get(text.toLowerCase());
}
