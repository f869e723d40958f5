import type { Locality } from '../../model/endpoint.js';
import type { DynamicParameters } from '../../model/node.js';
import type { RuntimeLayerSource } from '../../model/runtime.js';
import { DEFAULT_REQUEST_RATE, type RequestRate } from '../../xds/request-gate.js';
import { readLayeredRuntime } from '../runtime-option.js';
import type { Field } from './field.js';
import type { AuthoritySpec, ProviderFiles, ServerSpec } from './server-spec.js';
import { readServers, readTlsFiles } from './servers.js';

/** A gRPC xDS bootstrap (gRFCs A27, A29, A36, A47, A53, A65, A71, A81, A88, A97). */
export interface Bootstrap {
  /** In order of preference; at least one. */
  readonly servers: readonly ServerSpec[];
  readonly authorities: ReadonlyMap<string, AuthoritySpec>;
  readonly node: BootstrapNode;
  /** `server_listener_resource_name_template` (gRFC A36); `%s` stands for the listening address. */
  readonly inboundTemplate: string | undefined;
  /** `client_default_listener_resource_name_template` (gRFC A47); `%s` stands for the target. */
  readonly outboundTemplate: string;
  /** Certificate providers of the plug-in `file_watcher` (gRFC A29), by the names of their instances. */
  readonly certificateFiles: ReadonlyMap<string, ProviderFiles>;
  /** Envoy's `cluster_manager.local_cluster_name`, which may stand here, too. */
  readonly localCluster: string | undefined;
  /** Envoy's `layered_runtime`, which may stand here, too; undefined = it does not. */
  readonly runtime: readonly RuntimeLayerSource[] | undefined;
  /** Envoy's `dynamic_resources.ads_config.rate_limit_settings`, which may stand here, too. */
  readonly requestRate: RequestRate | undefined;
}

/** What a bootstrap says about this process. */
export interface BootstrapNode {
  readonly id: string | undefined;
  readonly cluster: string | undefined;
  readonly locality: Locality | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly clientFeatures: readonly string[];
  readonly dynamicParameters: DynamicParameters;
}

/** Reads a bootstrap; fields that nobody knows are passed over, as gRPC does. */
export function parseBootstrap(root: Field): Bootstrap {
  const servers = readServers(root.get('xds_servers'));
  if (servers.length === 0) root.get('xds_servers').fail('names no server (xds_servers[0].server_uri)');
  const authorities = new Map(
    root
      .get('authorities')
      .entries()
      .map(([name, field]) => [name, readAuthority(name, field)]),
  );
  return {
    servers,
    authorities,
    node: readNode(root.get('node')),
    inboundTemplate: template(root.get('server_listener_resource_name_template')),
    outboundTemplate: template(root.get('client_default_listener_resource_name_template')) ?? '%s',
    certificateFiles: readProviders(root.get('certificate_providers')),
    localCluster: root.get('cluster_manager').get('local_cluster_name').optionalText(),
    runtime: readLayeredRuntime(root.get('layered_runtime')),
    requestRate: readRate(root.get('dynamic_resources').get('ads_config').get('rate_limit_settings')),
  };
}

function readAuthority(name: string, field: Field): AuthoritySpec {
  const own = field.get('client_listener_resource_name_template');
  const prefix = `xdstp://${name}/`;
  const listenerTemplate = template(own) ?? `${prefix}envoy.config.listener.v3.Listener/%s`;
  if (!listenerTemplate.startsWith(prefix)) own.fail(`must begin with ${JSON.stringify(prefix)}`);
  return { servers: readServers(field.get('xds_servers')), listenerTemplate };
}

function readNode(node: Field): BootstrapNode {
  const locality = node.get('locality');
  const text = (name: string, json: string) =>
    locality.get(name).optionalText() ?? locality.get(json).optionalText() ?? '';
  const where = {
    region: text('region', 'region'),
    zone: text('zone', 'zone'),
    subZone: text('sub_zone', 'subZone'),
  };
  const isAnywhere = where.region === '' && where.zone === '' && where.subZone === '';
  return {
    id: node.get('id').optionalText() || undefined,
    cluster: node.get('cluster').optionalText() || undefined,
    locality: isAnywhere ? undefined : where,
    metadata: node.get('metadata').json(),
    clientFeatures: node
      .get('client_features')
      .items()
      .map((item) => item.text()),
    dynamicParameters: readDynamicParameters(node.get('dynamic_parameters')),
  };
}

/** xDS: type URL to ContextParams. */
function readDynamicParameters(field: Field): DynamicParameters {
  const texts = (params: Field) =>
    Object.fromEntries(params.entries().map(([key, value]) => [key, value.text()]));
  return Object.fromEntries(field.entries().map(([typeUrl, one]) => [typeUrl, texts(one.get('params'))]));
}

/** Providers of other plug-ins are passed over: whoever refers to one is refused then. */
function readProviders(providers: Field): Bootstrap['certificateFiles'] {
  const found = new Map<string, ProviderFiles>();
  for (const [name, provider] of providers.entries()) {
    if (provider.get('plugin_name').text() !== 'file_watcher') continue;
    const config = provider.get('config');
    const files = readTlsFiles(config);
    const { certificateFile, caFile, bundleMapFile } = files;
    if (certificateFile === undefined && caFile === undefined && bundleMapFile === undefined) {
      config.fail('must have certificate_file with private_key_file, or ca_certificate_file');
    }
    found.set(name, files);
  }
  return found;
}

function readRate(field: Field): RequestRate | undefined {
  if (field.isAbsent) return undefined;
  const most = field.get('max_tokens').unknown() ?? DEFAULT_REQUEST_RATE.maxTokens;
  const fillRate = field.get('fill_rate').unknown() ?? DEFAULT_REQUEST_RATE.fillRate;
  if (typeof most !== 'number' || !Number.isInteger(most) || most < 1 || most > 0xffff_ffff)
    return field.get('max_tokens').fail('must be a whole number from 1 on');
  if (typeof fillRate !== 'number' || !Number.isFinite(fillRate) || fillRate <= 0)
    return field.get('fill_rate').fail('must be a number above 0');
  return { maxTokens: most, fillRate };
}

function template(field: Field): string | undefined {
  return field.optionalText() || undefined;
}
