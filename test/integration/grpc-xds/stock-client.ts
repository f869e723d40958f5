import * as grpcXds from '@grpc/grpc-js-xds';
import { validateBootstrapConfig } from '@grpc/grpc-js-xds/build/src/xds-bootstrap.js';
import { XdsClient } from '@grpc/grpc-js-xds/build/src/xds-client.js';
import { ClusterResourceType } from '@grpc/grpc-js-xds/build/src/xds-resource-type/cluster-resource-type.js';
import { EndpointResourceType } from '@grpc/grpc-js-xds/build/src/xds-resource-type/endpoint-resource-type.js';
import { ListenerResourceType } from '@grpc/grpc-js-xds/build/src/xds-resource-type/listener-resource-type.js';
import { RouteConfigurationResourceType } from '@grpc/grpc-js-xds/build/src/xds-resource-type/route-config-resource-type.js';
import type { ResourceSet } from '../../../src/control-plane/resources/resource-set.js';

/** What a client's bootstrap file says. */
export interface BootstrapOptions {
  /** `host:port` of the control plane. */
  readonly server: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly certificates?: {
    readonly certificate_file: string;
    readonly private_key_file: string;
    readonly ca_certificate_file: string;
  };
}

const NODE_ID = 'sidecar~127.0.0.1~stock.default~default.svc.cluster.local';

/** A bootstrap file of gRPC, as Istio's agent writes it. */
export function bootstrap({ server, metadata = {}, certificates }: BootstrapOptions): string {
  return JSON.stringify({
    xds_servers: [{ server_uri: server, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: {
      id: NODE_ID,
      locality: {},
      metadata: { NAMESPACE: 'default', GENERATOR: 'grpc', LABELS: {}, ...metadata },
    },
    certificate_providers: {
      default: {
        plugin_name: 'file_watcher',
        config: {
          ...(certificates ?? { ca_certificate_file: '/nowhere/root-cert.pem' }),
          refresh_interval: '900s',
        },
      },
    },
    server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
  });
}

/** gRPC's own name of the option that gives a channel a bootstrap file of its own. */
export const BOOTSTRAP_OPTION = 'grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config';

const TYPES = {
  LDS: ListenerResourceType.get(),
  RDS: RouteConfigurationResourceType.get(),
  CDS: ClusterResourceType.get(),
  EDS: EndpointResourceType.get(),
} as const;

/** What the client says of one resource: `taken`, or why not. */
export type Verdicts = ReadonlyMap<string, string>;

/** Asks for every name with the stock client's own stream and decoders. Filters and policies register on `register`. */
export async function ask(
  options: BootstrapOptions,
  names: { readonly [K in keyof typeof TYPES]?: Iterable<string> },
): Promise<Verdicts> {
  grpcXds.register();
  const client = new XdsClient(validateBootstrapConfig(JSON.parse(bootstrap(options))));
  const verdicts = new Map<string, string>();
  const watches: (() => void)[] = [];
  const answers = Object.entries(names).flatMap(([short, wanted]) => {
    // The keys of `names` are those of TYPES.
    const type = TYPES[short as keyof typeof TYPES];
    return [...wanted].map(
      (name) =>
        new Promise<void>((resolve) => {
          const settle = (verdict: string) => {
            verdicts.set(`${short} ${name}`, verdict);
            resolve();
          };
          const watcher = {
            onGenericResourceChanged: () => settle('taken'),
            onError: ({ details }: { readonly details: string }) => settle(details),
            onResourceDoesNotExist: () => settle('does not exist'),
          };
          client.watchResource(type, name, watcher);
          watches.push(() => client.cancelResourceWatch(type, name, watcher));
        }),
    );
  });
  await Promise.all(answers);
  for (const stop of watches) stop();
  return verdicts;
}

/** Names of all resources of a set. */
export function namesOf({ listeners, routes, clusters, endpoints }: ResourceSet) {
  return { LDS: listeners.keys(), RDS: routes.keys(), CDS: clusters.keys(), EDS: endpoints.keys() };
}
