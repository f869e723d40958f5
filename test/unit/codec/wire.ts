import { fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf';
import type { ResourceType } from '../../../src/codec/codec.js';
import { schemaOf } from '../../../src/proto/any.js';
import { registry } from '../../../src/proto/registry.js';
import { MeshError } from '../../../src/runtime/errors.js';

/** The bytes of a resource given in protobuf's JSON form, as the Envoy documentation writes it. */
export function wire(type: ResourceType<unknown>, json: JsonValue): Uint8Array {
  const schema = schemaOf(type.typeUrl);
  if (schema === undefined) throw new Error(`no schema for ${type.typeUrl}`);
  return toBinary(schema, fromJson(schema, json, { registry: registry() }));
}

/** What the resource decodes to. */
export function decoded<T>(type: ResourceType<T>, json: JsonValue): T {
  return type.decode(wire(type, json)).resource;
}

/** The message with which the resource is refused; fails when it is accepted. */
export function refusal(type: ResourceType<unknown>, json: JsonValue): string {
  return refusalOfBytes(type, wire(type, json));
}

/** As {@link refusal}, for bytes. */
export function refusalOfBytes(type: ResourceType<unknown>, bytes: Uint8Array): string {
  try {
    type.decode(bytes);
  } catch (error) {
    if (error instanceof MeshError && error.code === 'INMESH_XDS_DECODE') return error.message;
    throw error;
  }
  throw new Error('the resource was accepted');
}

/** A router as the last HTTP filter. */
export const ROUTER: JsonValue = {
  name: 'envoy.filters.http.router',
  typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
};

const HCM =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** An outbound listener with these HTTP filters. */
export function listenerWith(httpFilters: JsonValue[], more: Record<string, JsonValue> = {}): JsonValue {
  const manager = {
    '@type': HCM,
    rds: { routeConfigName: 'r', configSource: { ads: {} } },
    httpFilters,
    ...more,
  };
  return { name: 'reviews:80', apiListener: { apiListener: manager } };
}

/** A route table with one route that has this match and forwards. */
export function tableWithRoute(route: Record<string, JsonValue>): JsonValue {
  const full = { match: { prefix: '/' }, route: { cluster: 'c' }, ...route };
  return { name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes: [full] }] };
}

/** An EDS cluster with these fields. */
export function clusterWith(fields: Record<string, JsonValue>): JsonValue {
  return { name: 'c', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } }, ...fields };
}

/** An endpoint at this address. */
export function endpointAt(address: string, more: Record<string, JsonValue> = {}): JsonValue {
  return { endpoint: { address: { socketAddress: { address, portValue: 80 } } }, ...more };
}
