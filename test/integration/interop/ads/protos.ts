import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A message type as protobufjs reflects it; no more of it than is used here. */
export interface ProtoType {
  readonly fullName: string;
  readonly fields: Readonly<Record<string, ProtoField>>;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

export interface ProtoField {
  readonly type: string;
  readonly repeated: boolean;
  readonly map: boolean;
  /** A message type, or an enum with its values. */
  readonly resolvedType: (ProtoType & { readonly values?: Readonly<Record<string, number>> }) | null;
  resolve(): ProtoField;
}

interface ProtoRoot {
  resolvePath: (origin: string, target: string) => string | null;
  loadSync(files: readonly string[], options: { readonly keepCase: boolean }): ProtoRoot;
  lookupType(name: string): ProtoType;
}

/** The `.proto` files that grpc-js-xds ships, read by the protobufjs that it reads them with: nothing of this project's. */
const ROOTS = [
  'envoy/service/discovery/v3/ads.proto',
  'envoy/service/load_stats/v3/lrs.proto',
  'envoy/service/status/v3/csds.proto',
  'envoy/config/listener/v3/listener.proto',
  'envoy/config/route/v3/route.proto',
  'envoy/config/cluster/v3/cluster.proto',
  'envoy/config/endpoint/v3/endpoint.proto',
  'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  'envoy/extensions/filters/http/router/v3/router.proto',
  'envoy/extensions/filters/http/fault/v3/fault.proto',
  'envoy/extensions/filters/http/rbac/v3/rbac.proto',
  'envoy/extensions/filters/http/stateful_session/v3/stateful_session.proto',
  'envoy/extensions/http/stateful_session/cookie/v3/cookie.proto',
  'envoy/extensions/clusters/aggregate/v3/cluster.proto',
  'envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.proto',
  'envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.proto',
  'envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality.proto',
  'envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin.proto',
  'envoy/extensions/load_balancing_policies/pick_first/v3/pick_first.proto',
  'envoy/extensions/load_balancing_policies/subset/v3/subset.proto',
  'envoy/extensions/transport_sockets/tls/v3/tls.proto',
  'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
  'envoy/service/runtime/v3/rtds.proto',
];

let loaded: ProtoRoot | undefined;

/** The message type of a full name. */
export function protoType(name: string): ProtoType {
  loaded ??= load();
  return loaded.lookupType(name);
}

function load(): ProtoRoot {
  const xds = createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json');
  const loader = createRequire(xds).resolve('@grpc/proto-loader');
  const protobufPath = createRequire(loader).resolve('protobufjs');
  // protobufjs exports these.
  const { Root } = createRequire(loader)('protobufjs') as { Root: new () => ProtoRoot };
  const deps = join(dirname(xds), 'deps');
  const folders = [
    ...['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(deps, name)),
    dirname(protobufPath),
  ];
  const root = new Root();
  root.resolvePath = (_, target) =>
    folders.map((folder) => join(folder, target)).find((path) => existsSync(path)) ?? target;
  return root.loadSync(ROOTS, { keepCase: true });
}
