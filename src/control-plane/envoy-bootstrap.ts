import { isIP } from 'node:net';
import { splitHostPort } from '../model/address.js';
import { systemClock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import { silentLogger } from '../runtime/log.js';
import { bootstrapMetadata, patchBootstrap } from './compile/envoy/bootstrap-documents.js';
import type { JsonMap } from './compile/envoy/merge-json.js';
import type { ConfigInput } from './documents/file-reader.js';
import type { ConfigView } from './kinds/view.js';
import { DEFAULT_MESH_CONFIG } from './mesh/mesh-config.js';
import { formatViolations } from './schema/format.js';
import { createConfigStore } from './store/config-store.js';

/** What the bootstrap file of an Envoy is made from. */
export interface EnvoyBootstrapOptions {
  /** `host:port` of the control plane: its plaintext port, or with `tls` its secure one. */
  readonly controlPlane: string;
  /** Name of the Envoy, as logs and the status of the control plane show it. */
  readonly name: string;
  /** Default `default`. */
  readonly namespace?: string;
  /** Whose certificate it gets. Default `default`. */
  readonly serviceAccount?: string;
  /** Gateways and routes may select by them. */
  readonly labels?: Readonly<Record<string, string>>;
  /** A gateway takes calls from outside; it is no HTTP proxy unless `proxyPort` says so. Default false. */
  readonly gateway?: boolean;
  /** Address that it is told apart by. Default `127.0.0.1`. */
  readonly address?: string;
  /** `region/zone/subzone`; nearer endpoints are preferred. */
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subZone?: string };
  /** Where applications find it as their HTTP proxy; 0 = nowhere. Default 15001, 0 for a gateway. */
  readonly proxyPort?: number;
  /** Whether it listens on the port of each service, too (Istio's interception mode NONE). Default false. */
  readonly portListeners?: boolean;
  /** Port of Envoy's admin page, on loopback. Default 15000. */
  readonly adminPort?: number;
  /** Paths of PEM files: with them Envoy proves itself to the secure port of the control plane. */
  readonly tls?: { readonly certificate: string; readonly privateKey: string; readonly roots: string };
  /** Delta xDS instead of the state of the world. Default false. */
  readonly delta?: boolean;
  /**
   * The documents of the mesh: patches of EnvoyFilters for `BOOTSTRAP` are merged in, and variables of ProxyConfigs that
   * begin with `ISTIO_META_` become metadata of the node.
   */
  readonly documents?: ConfigInput;
}

const CLUSTER = 'xds-grpc';
const TLS_TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
const HTTP_TYPE = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
/** The name in the control plane's own certificate. */
const SERVER_NAME = 'istiod.istio-system.svc';
/** Envoy: what is there comes from the control plane, so that nothing else is worth waiting for. */
const FROM_ADS = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };

/**
 * The bootstrap file with which an Envoy gets everything from the control plane: an object to write as JSON or YAML.
 * @throws MeshError `INMESH_OPTION_INVALID` when `controlPlane` is no `host:port`, or documents are refused.
 */
export function envoyBootstrap(options: EnvoyBootstrapOptions): object {
  const { documents, namespace = 'default', labels = {} } = options;
  if (documents === undefined) return bootstrapOf(options, {});
  const view = viewOf(documents);
  const extra = bootstrapMetadata(view, { namespace, labels }, DEFAULT_MESH_CONFIG);
  // What patches choose by is in `extra`; an Envoy says no more in texts.
  const metadata = {
    NAMESPACE: namespace,
    SERVICE_ACCOUNT: options.serviceAccount ?? 'default',
    LABELS: labels,
    INSTANCE_IPS: options.address ?? '127.0.0.1',
    GENERATOR: 'envoy',
  };
  const subject = { namespace, labels, node: { metadata, extra } };
  return patchBootstrap(bootstrapOf(options, extra), view, subject, DEFAULT_MESH_CONFIG);
}

function viewOf(documents: ConfigInput): ConfigView {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger });
  const result = store.propose('documents', documents);
  if (!result.accepted) throw new MeshError('INMESH_OPTION_INVALID', formatViolations(result.violations));
  return store.current.value;
}

function bootstrapOf(options: EnvoyBootstrapOptions, extra: Readonly<Record<string, string>>): JsonMap {
  const { delta = false, adminPort = 15_000 } = options;
  return {
    node: nodeOf(options, extra),
    admin: { address: socketAddress('127.0.0.1', adminPort) },
    dynamic_resources: {
      ads_config: {
        api_type: delta ? 'DELTA_GRPC' : 'GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: CLUSTER } }],
      },
      cds_config: FROM_ADS,
      lds_config: FROM_ADS,
    },
    static_resources: { clusters: [controlPlaneCluster(options)] },
  };
}

function nodeOf(options: EnvoyBootstrapOptions, extra: Readonly<Record<string, string>>): object {
  const { name, namespace = 'default', serviceAccount = 'default', labels = {}, gateway = false } = options;
  const { address = '127.0.0.1', locality, proxyPort, portListeners = false } = options;
  return {
    // Istio's form: gateways are routers.
    id: `${gateway ? 'router' : 'sidecar'}~${address}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `${name}.${namespace}`,
    ...(locality && {
      locality: {
        region: locality.region ?? '',
        zone: locality.zone ?? '',
        sub_zone: locality.subZone ?? '',
      },
    }),
    metadata: {
      ...extra,
      GENERATOR: 'envoy',
      NAMESPACE: namespace,
      SERVICE_ACCOUNT: serviceAccount,
      INSTANCE_IPS: address,
      LABELS: labels,
      ...(proxyPort !== undefined && { INMESH_PROXY_PORT: proxyPort }),
      ...(portListeners && { INTERCEPTION_MODE: 'NONE' }),
    },
  };
}

function controlPlaneCluster({ controlPlane, tls }: EnvoyBootstrapOptions): object {
  const { host, port } = splitHostPort(controlPlane);
  if (host === '' || port === undefined) {
    throw new MeshError(
      'INMESH_OPTION_INVALID',
      `controlPlane is ${JSON.stringify(controlPlane)}, not host:port`,
      {
        hint: 'Give the address of the xDS port, e.g. 127.0.0.1:15010',
      },
    );
  }
  return {
    name: CLUSTER,
    type: isIP(host) === 0 ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: CLUSTER,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(host, port) } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': HTTP_TYPE,
        explicit_http_config: {
          // A control plane that is gone without a word is found out.
          http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '10s' } },
        },
      },
    },
    ...(tls && { transport_socket: tlsSocket(tls) }),
  };
}

function tlsSocket({ certificate, privateKey, roots }: NonNullable<EnvoyBootstrapOptions['tls']>): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': TLS_TYPE,
      sni: SERVER_NAME,
      common_tls_context: {
        alpn_protocols: ['h2'],
        // The control plane speaks nothing older.
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
        tls_certificates: [
          { certificate_chain: { filename: certificate }, private_key: { filename: privateKey } },
        ],
        validation_context: {
          trusted_ca: { filename: roots },
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: SERVER_NAME } }],
        },
      },
    },
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}
