import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import type { Snapshot } from '../../../src/model/snapshot.js';
import { registry } from '../../../src/proto/registry.js';
import { cluster, endpoint, route } from '../../../src/proto/xds.js';

/** A place in the simulated network, as EDS describes it. */
export interface Place {
  readonly address: string;
  readonly zone?: string;
}

/** A service in Envoy's own JSON: what differs from the defaults. */
export interface ServiceConfig {
  readonly cluster?: JsonObject;
  /** Fields of the one route's action. */
  readonly route?: JsonObject;
}

/** Name of the cluster that the callers themselves make up. */
export const LOCAL_CLUSTER = 'callers';

/** Name of the one service, by which clients ask for it. */
export const SERVICE = 'service:80';

/** What a control plane would send for one service, through the real codec. */
export function snapshotFor(
  config: ServiceConfig,
  places: readonly Place[],
  callers: readonly Place[] = [],
): Snapshot {
  const { resource } = CLUSTER.decode(
    toBinary(
      cluster.ClusterSchema,
      fromJson(
        cluster.ClusterSchema,
        {
          name: 'service',
          type: 'EDS',
          eds_cluster_config: { eds_config: { ads: {} }, service_name: 'service' },
          ...config.cluster,
        },
        { registry: registry() },
      ),
    ),
  );
  const routes = ROUTE_CONFIGURATION.decode(
    toBinary(
      route.RouteConfigurationSchema,
      fromJson(
        route.RouteConfigurationSchema,
        {
          name: 'routes',
          virtual_hosts: [
            {
              name: 'service',
              domains: ['*'],
              routes: [{ match: { prefix: '/' }, route: { cluster: 'service', ...config.route } }],
            },
          ],
        },
        { registry: registry() },
      ),
    ),
  ).resource;
  const local = { cluster: { ...resource, name: LOCAL_CLUSTER }, assignment: assignmentOf(callers) };
  return {
    inbound: new Map(),
    clusters: new Map([
      ['service', { cluster: resource, assignment: assignmentOf(places) }],
      ...(callers.length === 0 ? [] : [[LOCAL_CLUSTER, local] as const]),
    ]),
    outbound: new Map([
      [
        SERVICE,
        {
          listener: {
            kind: 'outbound',
            name: SERVICE,
            http: {
              routes: { kind: 'rds', name: 'routes' },
              filters: [{ name: 'router', config: { kind: 'router' } }],
            },
          },
          routes,
        },
      ],
    ]),
  };
}

function assignmentOf(places: readonly Place[]): ClusterLoadAssignment {
  const schema = endpoint.ClusterLoadAssignmentSchema;
  return CLUSTER_LOAD_ASSIGNMENT.decode(toBinary(schema, fromJson(schema, load(places)))).resource;
}

function load(places: readonly Place[]): JsonObject {
  const zones = [...new Set(places.map(({ zone = '' }) => zone))];
  return {
    cluster_name: 'service',
    endpoints: zones.map((zone) => ({
      locality: { zone },
      load_balancing_weight: 1,
      lb_endpoints: places
        .filter((one) => (one.zone ?? '') === zone)
        .map(({ address }) => ({
          endpoint: { address: { socket_address: { address, port_value: 80 } } },
        })),
    })),
  };
}
