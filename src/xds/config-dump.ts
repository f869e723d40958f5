import { type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { registry } from '../proto/registry.js';
import { admin, core, wkt } from '../proto/xds.js';
import { type ClientView, clientStatusOf, packed } from './client-status.js';
import { redact } from './redact.js';
import type { ResourceStatus } from './store.js';

/** What of the configuration is to be shown. */
interface DumpOptions {
  /** Endpoints are shown, too. Default false. */
  readonly includeEds?: boolean | undefined;
  /** Only the entries of this list, e.g. `dynamic_active_clusters`. */
  readonly resource?: string | undefined;
  /** Only entries whose names match. */
  readonly isNamed?: ((name: string) => boolean) | undefined;
}

/** How Envoy's `/config_dump` shows the resources of one type. */
interface Section {
  /** Name of the message in `envoy.admin.v3`. */
  readonly dump: string;
  readonly list: string;
  /** Name of the entries' message, below that of the dump. */
  readonly entry: string;
  readonly show: (resource: ResourceStatus) => JsonObject;
}

const TYPE = 'type.googleapis.com/envoy.admin.v3.';

const SECTIONS: Readonly<Record<string, Section>> = {
  'envoy.config.cluster.v3.Cluster': {
    dump: 'ClustersConfigDump',
    list: 'dynamic_active_clusters',
    entry: 'DynamicCluster',
    show: (resource) => shownAs('cluster', resource),
  },
  'envoy.config.listener.v3.Listener': {
    dump: 'ListenersConfigDump',
    list: 'dynamic_listeners',
    entry: 'DynamicListener',
    show: (resource) => ({
      name: resource.name,
      ...(resource.bytes !== undefined && { active_state: heldValue('listener', resource) }),
      ...stateOf(resource),
    }),
  },
  'envoy.config.route.v3.RouteConfiguration': {
    dump: 'RoutesConfigDump',
    list: 'dynamic_route_configs',
    entry: 'DynamicRouteConfig',
    show: (resource) => shownAs('route_config', resource),
  },
  'envoy.extensions.transport_sockets.tls.v3.Secret': {
    dump: 'SecretsConfigDump',
    list: 'dynamic_active_secrets',
    entry: 'DynamicSecret',
    show: (resource) => ({ name: resource.name, ...shownAs('secret', resource) }),
  },
  'envoy.config.endpoint.v3.ClusterLoadAssignment': {
    dump: 'EndpointsConfigDump',
    list: 'dynamic_endpoint_configs',
    entry: 'DynamicEndpointConfig',
    show: (resource) => shownAs('endpoint_config', resource),
  },
};

/** What a client has of the control plane, as Envoy's `/config_dump` shows it. Secrets are not in it. */
export function configDump(
  { node, resources }: ClientView,
  options: DumpOptions = {},
): { readonly configs: readonly JsonObject[] } {
  const groups = new Map<Section, JsonObject[]>();
  for (const resource of resources) {
    const section = SECTIONS[resource.typeUrl.slice(resource.typeUrl.lastIndexOf('/') + 1)];
    if (section === undefined || !isShown(section, resource, options)) continue;
    const entries = groups.get(section);
    const shown = section.show(resource);
    if (entries === undefined) groups.set(section, [shown]);
    else entries.push(shown);
  }
  if (options.resource !== undefined) return { configs: listed(groups, options.resource) };
  const bootstrap = {
    '@type': `${TYPE}BootstrapConfigDump`,
    bootstrap: { node: toJson(core.NodeSchema, node, { useProtoFieldName: true }) },
  };
  const dumps = Object.values(SECTIONS).flatMap((section) => {
    const entries = groups.get(section);
    return entries === undefined ? [] : [{ '@type': TYPE + section.dump, [section.list]: entries }];
  });
  return { configs: [bootstrap, ...dumps] };
}

/** Names of the lists that may be asked for. */
export const DUMP_LISTS: ReadonlySet<string> = new Set(Object.values(SECTIONS).map(({ list }) => list));

function isShown({ list }: Section, { name }: ResourceStatus, options: DumpOptions): boolean {
  if (options.resource !== undefined && options.resource !== list) return false;
  const isEndpoints = list === 'dynamic_endpoint_configs';
  if (isEndpoints && options.includeEds !== true && options.resource !== list) return false;
  return options.isNamed?.(name) ?? true;
}

function listed(groups: ReadonlyMap<Section, readonly JsonObject[]>, list: string): readonly JsonObject[] {
  for (const [section, entries] of groups) {
    if (section.list !== list) continue;
    return entries.map((entry) => ({ '@type': `${TYPE}${section.dump}.${section.entry}`, ...entry }));
  }
  return [];
}

function shownAs(field: string, resource: ResourceStatus): JsonObject {
  return { ...heldValue(field, resource), ...stateOf(resource) };
}

function heldValue(field: string, { typeUrl, version, bytes, updatedAtMs }: ResourceStatus): JsonObject {
  if (bytes === undefined) return {};
  return {
    version_info: version,
    [field]: resourceJson(typeUrl, bytes),
    ...(updatedAtMs !== undefined && { last_updated: timeOf(updatedAtMs) }),
  };
}

function stateOf({ typeUrl, state, refused, error }: ResourceStatus): JsonObject {
  const client_status = admin.ClientResourceStatus[clientStatusOf(state)] ?? 'UNKNOWN';
  if (refused === undefined) {
    return { client_status, ...(error !== undefined && { error_state: { details: error.message } }) };
  }
  return {
    client_status,
    error_state: {
      failed_configuration: resourceJson(typeUrl, refused.bytes),
      last_update_attempt: timeOf(refused.atMs),
      details: refused.error.message,
      version_info: refused.version,
    },
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** A resource with its type. What has parts of types that are not known here, or can't be read, is left out. */
function resourceJson(typeUrl: string, bytes: Uint8Array): JsonValue {
  try {
    const options = { registry: registry(), useProtoFieldName: true };
    return redact(toJson(wkt.AnySchema, packed(typeUrl, bytes), options));
  } catch {
    // Nobody can tell what in these is secret.
    return { '@type': typeUrl };
  }
}
