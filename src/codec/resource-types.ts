import { toBinary } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.js';
import type { ClusterLoadAssignment } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import type { RouteConfiguration } from '../model/route.js';
import { cluster, endpoint, listener, route } from '../proto/xds.js';
import { decodeCluster, encodeCluster } from './cluster.js';
import { decodeMessage, defineResourceType, type ResourceType } from './codec.js';
import { decodeAssignment, decodeAssignmentInSteps, encodeAssignment, parseAssignment } from './endpoint.js';
import { decodeListener, encodeListener } from './listener.js';
import { decodeRouteConfiguration, encodeRouteConfiguration } from './route.js';

/** LDS. */
export const LISTENER: ResourceType<Listener> = defineResourceType({
  typeUrl: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  short: 'LDS',
  complete: true,
  parse: (bytes, path) => decodeMessage(listener.ListenerSchema, bytes, path),
  nameOf: ({ name }) => name,
  decode: decodeListener,
  encode: (resource) => toBinary(listener.ListenerSchema, encodeListener(resource)),
});

/** RDS. */
export const ROUTE_CONFIGURATION: ResourceType<RouteConfiguration> = defineResourceType({
  typeUrl: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  short: 'RDS',
  complete: false,
  parse: (bytes, path) => decodeMessage(route.RouteConfigurationSchema, bytes, path),
  nameOf: ({ name }) => name,
  decode: decodeRouteConfiguration,
  encode: (resource) => toBinary(route.RouteConfigurationSchema, encodeRouteConfiguration(resource)),
});

/** CDS. */
export const CLUSTER: ResourceType<Cluster> = defineResourceType({
  typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  short: 'CDS',
  complete: true,
  parse: (bytes, path) => decodeMessage(cluster.ClusterSchema, bytes, path),
  nameOf: ({ name }) => name,
  decode: decodeCluster,
  encode: (resource) => toBinary(cluster.ClusterSchema, encodeCluster(resource)),
});

/** EDS. */
export const CLUSTER_LOAD_ASSIGNMENT: ResourceType<ClusterLoadAssignment> = defineResourceType({
  typeUrl: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  short: 'EDS',
  complete: false,
  parse: parseAssignment,
  nameOf: ({ head }) => head.clusterName,
  decode: (parsed, path) => decodeAssignment(parsed, 'ip', path),
  decodeInSteps: (parsed, path, held) => decodeAssignmentInSteps(parsed, 'ip', path, held),
  // Envoy: endpoints that get old are fresh again.
  countsAnew: ({ staleAfterMs }) => staleAfterMs !== undefined,
  encode: (resource) => toBinary(endpoint.ClusterLoadAssignmentSchema, encodeAssignment(resource)),
});

/** Every resource type that the mesh is made of, in the order in which they refer to each other. */
export const RESOURCE_TYPES = [LISTENER, ROUTE_CONFIGURATION, CLUSTER, CLUSTER_LOAD_ASSIGNMENT] as const;
