import type { Cluster } from '../../../model/cluster.js';
import type { Listener } from '../../../model/listener.js';
import type { RouteConfiguration } from '../../../model/route.js';
import type { DownstreamTls } from '../../../model/tls.js';
import { ShardedMap } from '../../../runtime/sharded-map.js';
import { runSteps } from '../../../runtime/steps.js';
import type { ConfigView } from '../../kinds/view.js';
import { type MeshConfig, pathRules } from '../../mesh/mesh-config.js';
import { SDK_ENCODERS } from '../../resources/encoders.js';
import type { WireResource } from '../../resources/resource-set.js';
import { authorizationCompiler } from '../authorization/workload.js';
import { indexDestinationRules } from '../destination-rules.js';
import { PatchedOutlines, type PatchTarget } from '../envoy-filter/patched.js';
import { patchesFor } from '../envoy-filter/patches.js';
import { inboundHttpPolicy } from '../inbound-security.js';
import { meshDocument } from '../mesh-document.js';
import type { CompileInput, Outline } from '../outlined.js';
import { peerAuthentications } from '../peer-authentication.js';
import type { InboundNode } from '../profile.js';
import { clientLabels, sidecarFor } from '../sidecar.js';
import type { CollectorLookup } from '../tracing.js';
import { tracingSpec } from '../tracing-spec.js';
import { type InboundClusterTools, inboundCluster, passthroughClusters } from './inbound-clusters.js';
import { inboundWires } from './inbound-listener.js';
import { type InboundPort, inboundPlace, inboundPorts } from './inbound-ports.js';
import { envoyTracing } from './tracing.js';

/** Istio's default of `proxyInboundListenPort`. */
const LISTEN_PORT = 15_006;

/** What an Envoy is sent for the calls to the application beside it. */
export interface EnvoyInbound {
  readonly listeners: ReadonlyMap<string, WireResource>;
  readonly clusters: ReadonlyMap<string, Cluster>;
}

/** What the calls to an application are compiled with. */
export interface InboundTools extends Omit<CompileInput, 'pods'> {
  /** Where traces are reported to. */
  readonly find: CollectorLookup;
}

/** The listeners and clusters of an application's ports, with the patches of EnvoyFilters for `SIDECAR_INBOUND`. */
export function envoyInbound(view: ConfigView, subject: InboundNode, tools: InboundTools): EnvoyInbound {
  const { node, namespace } = subject;
  const patches = patchesFor(
    view,
    { namespace, labels: clientLabels(node), node },
    tools.config.rootNamespace,
  );
  const { listeners, clusters } = unpatched(view, subject, tools);
  const outline: Outline = {
    listeners: NO_LISTENERS,
    routes: NO_ROUTES,
    clusters: ShardedMap.from(clusters.map((one) => [one.name, one])),
    wireListeners: ShardedMap.from(listeners.map((one) => [one.name, one])),
  };
  const target: PatchTarget = {
    patches,
    encoders: SDK_ENCODERS,
    isOurs: false,
    context: 'SIDECAR_INBOUND',
    onRefused: tools.onRefused,
  };
  const patched = runSteps(new PatchedOutlines().of(outline, target));
  return { listeners: patched.wireListeners ?? NO_WIRES, clusters: patched.clusters };
}

const NO_LISTENERS = ShardedMap.from<Listener>([]);
const NO_ROUTES = ShardedMap.from<RouteConfiguration>([]);
const NO_WIRES = ShardedMap.from<WireResource>([]);

function unpatched(view: ConfigView, { node, namespace, addresses }: InboundNode, tools: InboundTools) {
  const { config, registry, keys, find } = tools;
  const labels = clientLabels(node);
  const own = { namespace, labels };
  const mesh = meshDocument(view);
  const place = inboundPlace(node, addresses);
  const ports = inboundPorts(view, {
    workload: { ...own, addresses },
    place,
    sidecar: sidecarFor(view, own, config.rootNamespace),
    isLocal: mesh?.inboundTrafficPolicy?.mode === 'LOCALHOST',
  });
  const modes = peerAuthentications(view, config)(own);
  const { http, tcp } = authorizationCompiler(view, registry, config)(own);
  const security = { config, keys, authorization: http };
  const spec = tracingSpec(view, { ...own, node, isOurs: false }, 'SERVER', config);
  const listeners = inboundWires(ports, {
    place,
    listenPort: mesh?.proxyInboundListenPort || LISTEN_PORT,
    detectionTimeoutMs: mesh?.protocolDetectionTimeout ?? 0,
    modeOf: (port) => modes.ports.get(port) ?? modes.base,
    ownModes: [...modes.ports.keys()].sort((a, b) => a - b),
    mesh: meshTls(config, mesh?.meshMTLS?.minProtocolVersion),
    httpOf: (port) => inboundHttpPolicy(view, { ...own, port, node }, security),
    paths: pathRules(config),
    guards: tcp,
    traced: envoyTracing(spec, false, find),
  });
  const clusterTools = {
    place,
    config,
    policyOf: (port: InboundPort) => policyOf(port, view, { namespace, config }),
  };
  return { listeners, clusters: clustersOf(ports, clusterTools) };
}

function clustersOf(ports: readonly InboundPort[], tools: InboundClusterTools): readonly Cluster[] {
  const declared = ports.map((port) => inboundCluster(port, tools));
  return tools.place.interception === 'NONE' ? declared : [...declared, ...passthroughClusters(tools)];
}

/** Istio: rules for some clients alone are not for the side that serves; of several services the oldest decides. */
function policyOf(
  { services: [service] }: InboundPort,
  view: ConfigView,
  { namespace, config }: { readonly namespace: string; readonly config: MeshConfig },
) {
  if (service === undefined) return undefined;
  const query = {
    clientNamespace: namespace,
    labels: {},
    serviceNamespace: service.namespace,
    host: service.host,
  };
  return indexDestinationRules(view, config).find(query).trafficPolicy;
}

/** Istio's suites for the mesh. */
const CIPHERS: readonly string[] = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
];

/** Clients prove an identity of the trust domain, under any of its names (Istio: BuildInboundTLS). */
function meshTls({ trustDomain, trustDomainAliases }: MeshConfig, least: string | undefined): DownstreamTls {
  return {
    requireClientCertificate: true,
    alpn: ['h2', 'http/1.1'],
    clients: {
      roots: 'mesh',
      subjectAltNames: [...new Set([trustDomain, ...trustDomainAliases])].map((domain) => ({
        kind: 'prefix',
        value: `spiffe://${domain}/`,
        ignoreCase: false,
      })),
    },
    minVersion: least === 'TLSV1_3' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
  };
}
