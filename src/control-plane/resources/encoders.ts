import { encodeGrpcCluster, encodeGrpcListener } from '../../codec/grpc-resources.js';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../codec/resource-types.js';
import type { RouteConfiguration, VirtualHost } from '../../model/route.js';
import type { ResourceEncoders } from './resource-set.js';
import { wireOf } from './wire-of.js';

/** What the SDK reads: everything that the model says. */
export const SDK_ENCODERS: ResourceEncoders = {
  listener: (one) => wireOf(one) ?? LISTENER.encode(one),
  route: (one) => wireOf(one) ?? ROUTE_CONFIGURATION.encode(one),
  cluster: (one) => wireOf(one) ?? CLUSTER.encode(one),
  endpoints: (one) => CLUSTER_LOAD_ASSIGNMENT.encode(one),
};

/** What Envoys read. Of the many hosts of their tables few change at a time: each is encoded once. */
export const ENVOY_ENCODERS: ResourceEncoders = {
  ...SDK_ENCODERS,
  route: (one) => wireOf(one) ?? encodeTable(one),
};

/** Protobuf: what is appended to a message is merged into it, and lists are joined. */
function encodeTable(table: RouteConfiguration): Uint8Array {
  return Buffer.concat([
    ROUTE_CONFIGURATION.encode({ ...table, virtualHosts: [] }),
    ...table.virtualHosts.map(encodeHost),
  ]);
}

const hosts = new WeakMap<VirtualHost, Uint8Array>();

/** As the only field of a table. */
function encodeHost(host: VirtualHost): Uint8Array {
  let bytes = hosts.get(host);
  if (bytes === undefined) {
    bytes = ROUTE_CONFIGURATION.encode({ name: '', virtualHosts: [host] });
    hosts.set(host, bytes);
  }
  return bytes;
}

/** What gRPC's own clients and servers read. */
export const GRPC_ENCODERS: ResourceEncoders = {
  ...SDK_ENCODERS,
  listener: (one) => wireOf(one) ?? encodeGrpcListener(one),
  cluster: (one) => wireOf(one) ?? encodeGrpcCluster(one),
};
