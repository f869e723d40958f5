import type { Locality } from '../model/endpoint.js';
import { MeshError } from '../runtime/errors.js';

/** What inmesh takes from a gRPC xDS bootstrap (gRFC A27). */
export interface Bootstrap {
  /** First xDS server, as `host:port`. */
  readonly server: string;
  readonly nodeId: string | undefined;
  readonly locality: Locality | undefined;
  /** `server_listener_resource_name_template` (gRFC A36); `%s` stands for the listening address. */
  readonly inboundTemplate: string | undefined;
  /** Envoy's `cluster_manager.local_cluster_name`, which may stand here, too. */
  readonly localCluster: string | undefined;
}

/**
 * Reads the bootstrap that `GRPC_XDS_BOOTSTRAP` (a file) or `GRPC_XDS_BOOTSTRAP_CONFIG` (its content) names.
 * @throws MeshError `INMESH_BOOTSTRAP_INVALID` when it can't be read, or names a server that can't be used.
 */
export function readBootstrap(
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): Bootstrap | undefined {
  const path = env['GRPC_XDS_BOOTSTRAP'];
  const inline = env['GRPC_XDS_BOOTSTRAP_CONFIG'];
  if (path === undefined && inline === undefined) return undefined;
  const where = path === undefined ? 'GRPC_XDS_BOOTSTRAP_CONFIG' : path;
  let parsed: unknown;
  try {
    parsed = JSON.parse(path === undefined ? (inline ?? '') : readFile(path));
  } catch (cause) {
    throw invalid(where, 'can not be read as JSON', cause);
  }
  return parseBootstrap(parsed, where);
}

function parseBootstrap(parsed: unknown, where: string): Bootstrap {
  const root = asObject(parsed);
  const servers = root?.['xds_servers'];
  const first = Array.isArray(servers) ? asObject(servers[0]) : undefined;
  const uri = first?.['server_uri'];
  if (typeof uri !== 'string') throw invalid(where, 'names no server (xds_servers[0].server_uri)');
  const credentials = first?.['channel_creds'];
  const types = Array.isArray(credentials) ? credentials.map((one) => asObject(one)?.['type']) : [];
  if (!types.includes('insecure')) {
    throw invalid(
      where,
      `asks for channel credentials ${JSON.stringify(types)}, of which inmesh knows "insecure"`,
    );
  }
  const node = asObject(root?.['node']);
  const template = root?.['server_listener_resource_name_template'];
  const local = asObject(root?.['cluster_manager'])?.['local_cluster_name'];
  return {
    server: uri.replace(/^dns:(\/\/\/)?/, ''),
    nodeId: typeof node?.['id'] === 'string' ? node['id'] : undefined,
    locality: localityOf(asObject(node?.['locality'])),
    inboundTemplate: typeof template === 'string' ? template : undefined,
    localCluster: typeof local === 'string' ? local : undefined,
  };
}

function localityOf(value: Readonly<Record<string, unknown>> | undefined): Locality | undefined {
  if (value === undefined) return undefined;
  const text = (name: string) => (typeof value[name] === 'string' ? value[name] : '');
  return { region: text('region'), zone: text('zone'), subZone: text('sub_zone') };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  // JSON.parse made it: a plain object, its values unknown.
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

function invalid(where: string, what: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_BOOTSTRAP_INVALID', `the xDS bootstrap ${what}`, {
    resource: where,
    cause,
    hint: 'Correct it, or unset GRPC_XDS_BOOTSTRAP and set INMESH_CONTROL_PLANE=host:port',
  });
}
