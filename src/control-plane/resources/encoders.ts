import { encodeGrpcCluster, encodeGrpcListener } from '../../codec/grpc-resources.js';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../codec/resource-types.js';
import type { ResourceEncoders } from './resource-set.js';
import { wireOf } from './wire-of.js';

/** What the SDK reads: everything that the model says. */
export const SDK_ENCODERS: ResourceEncoders = {
  listener: (one) => wireOf(one) ?? LISTENER.encode(one),
  route: (one) => wireOf(one) ?? ROUTE_CONFIGURATION.encode(one),
  cluster: (one) => wireOf(one) ?? CLUSTER.encode(one),
  endpoints: (one) => CLUSTER_LOAD_ASSIGNMENT.encode(one),
};

/** What gRPC's own clients and servers read. */
export const GRPC_ENCODERS: ResourceEncoders = {
  ...SDK_ENCODERS,
  listener: (one) => wireOf(one) ?? encodeGrpcListener(one),
  cluster: (one) => wireOf(one) ?? encodeGrpcCluster(one),
};
