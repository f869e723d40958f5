import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { NO_LOCALITY } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { Node } from '../../model/node.js';
import { registry } from '../../proto/registry.js';
import { wkt } from '../../proto/xds.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig, MeshSettings } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { ResourceSet } from '../resources/resource-set.js';
import { createCompiler } from './compile.js';
import { grpcLosses } from './grpc/losses.js';
import { inboundListenerName } from './listeners.js';
import { meshConfigOf } from './mesh-document.js';
import { type Generator, typeByLabels } from './profile.js';
import { servedWorkloads } from './served-workloads.js';

/** For whom documents are compiled. */
export interface CompileTarget {
  /** Our SDK, gRPC's own clients, or Envoys. */
  readonly profile: 'sdk' | 'grpc' | 'envoy';
  /** Default `default`. */
  readonly namespace?: string;
  /** Those of the client: routes and Gateways may select by them. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * What an Envoy is: beside an application, or a gateway. By default a gateway when a Gateway selects its labels, or its
   * label `istio` ends in `gateway`.
   */
  readonly type?: 'sidecar' | 'router' | undefined;
  /** Where the client is; without it a gateway is taken to be where its services lead. */
  readonly address?: string | undefined;
  /** Port of an Envoy's HTTP proxy; 0 = none. Default 15001, for a gateway 0. */
  readonly proxyPort?: number;
  /** Whether an Envoy listens on each port of a service, too. */
  readonly portListeners?: boolean;
  /** Settings of the mesh, with Istio's defaults. */
  readonly mesh?: MeshSettings | undefined;
}

/** Resources in Envoy's JSON, by type; sorted by name. */
export interface CompiledJson {
  readonly listeners: readonly JsonValue[];
  readonly routes: readonly JsonValue[];
  readonly clusters: readonly JsonValue[];
  readonly endpoints: readonly JsonValue[];
}

const GENERATORS: Readonly<Record<CompileTarget['profile'], Generator>> = {
  sdk: 'inmesh',
  grpc: 'grpc',
  envoy: 'envoy',
};

/** What a configuration with its registered workloads comes to for one client. */
export function compileView(
  view: ConfigView,
  workloads: RegistrySnapshot,
  config: MeshConfig,
  target: CompileTarget,
): CompiledJson {
  const effective = meshConfigOf(view, config);
  const node = nodeOf(target, view, effective);
  const set = createCompiler(config).compile(view, workloads, node);
  return jsonOf(set, ownListeners(set, node, effective));
}

/** What a configuration comes to for one client, and what of it is not followed, one sentence each. */
export function compileWithLosses(
  view: ConfigView,
  workloads: RegistrySnapshot,
  config: MeshConfig,
  target: CompileTarget,
): { readonly resources: CompiledJson; readonly losses: readonly string[] } {
  const refused = new Set<string>();
  const compiler = createCompiler(config, {
    refusesPatch: (reason) => refused.add(reason),
    assumesSecrets: true,
  });
  const effective = meshConfigOf(view, config);
  const node = nodeOf(target, view, effective);
  const set = compiler.compile(view, workloads, node);
  const lost = target.profile === 'grpc' ? grpcLosses(view).map(({ message }) => message) : [];
  return { resources: jsonOf(set, ownListeners(set, node, effective)), losses: [...lost, ...refused] };
}

/** A client of the kind that the target says. */
function nodeOf(target: CompileTarget, view: ConfigView, config: MeshConfig): Node {
  const { profile, namespace = 'default', labels = {}, proxyPort, portListeners = false } = target;
  const isRouter = profile === 'envoy' && (target.type ?? typeByLabels(labels, view)) === 'router';
  const address = target.address ?? '127.0.0.1';
  const served = profile === 'envoy' ? [] : servedWorkloads(view, { namespace, labels }, config);
  return {
    id: `${isRouter ? 'router' : 'sidecar'}~${address}~compile.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `compile.${namespace}`,
    locality: NO_LOCALITY,
    metadata: {
      NAMESPACE: namespace,
      SERVICE_ACCOUNT: 'default',
      LABELS: labels,
      INSTANCE_IPS: isRouter ? (target.address ?? '') : address,
      GENERATOR: GENERATORS[profile],
      ...(proxyPort !== undefined && { INMESH_PROXY_PORT: proxyPort }),
      ...(portListeners && { INTERCEPTION_MODE: 'NONE' }),
      ...(served.length > 0 && { INMESH_WORKLOADS: served }),
    },
  };
}

/** The listeners of the ports that a client serves, which it asks for by their names. */
function ownListeners(
  set: ResourceSet,
  { metadata }: Node,
  { inboundTemplate }: MeshConfig,
): readonly Listener[] {
  return (metadata.INMESH_WORKLOADS ?? []).flatMap(
    (served) => set.listenerOf(inboundListenerName(inboundTemplate, served)) ?? [],
  );
}

/** The resources of a set in the JSON that Envoy reads and prints, `@type` included. */
function jsonOf(set: ResourceSet, own: readonly Listener[]): CompiledJson {
  const { listeners, wireListeners, routes, clusters, endpoints, encoders } = set;
  return {
    listeners: [
      ...jsonOfAll('listener.v3.Listener', new Map(own.map((one) => [one.name, one])), encoders.listener),
      ...jsonOfAll('listener.v3.Listener', listeners, encoders.listener),
      ...jsonOfAll('listener.v3.Listener', wireListeners, ({ bytes }) => bytes),
    ],
    routes: jsonOfAll('route.v3.RouteConfiguration', routes, encoders.route),
    clusters: jsonOfAll('cluster.v3.Cluster', clusters, encoders.cluster),
    endpoints: jsonOfAll('endpoint.v3.ClusterLoadAssignment', endpoints, encoders.endpoints),
  };
}

function jsonOfAll<T>(
  type: string,
  all: ReadonlyMap<string, T>,
  encode: (one: T) => Uint8Array,
): JsonValue[] {
  const typeUrl = `type.googleapis.com/envoy.config.${type}`;
  return [...all]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, one]) => {
      const any = { $typeName: 'google.protobuf.Any' as const, typeUrl, value: encode(one) };
      return toJson(wkt.AnySchema, any, { registry: registry(), useProtoFieldName: true });
    });
}
