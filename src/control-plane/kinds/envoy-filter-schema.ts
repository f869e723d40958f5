import { z } from 'zod';
import { int32, labelsSelector, openMap, port, stringMap, uint32 } from './fields.js';
import { policyTargets } from './policy-target-schema.js';

const subFilter = z.strictObject({ name: z.string().optional() });
const filter = z.strictObject({ name: z.string().optional(), subFilter: subFilter.optional() });

const clusterMatch = z.strictObject({
  portNumber: uint32.optional(),
  service: z.string().optional(),
  subset: z.string().optional(),
  name: z.string().optional(),
});

const routeConfigurationMatch = z.strictObject({
  portNumber: uint32.optional(),
  portName: z.string().optional(),
  gateway: z.string().optional(),
  vhost: z
    .strictObject({
      name: z.string().optional(),
      domainName: z.string().optional(),
      route: z
        .strictObject({
          name: z.string().optional(),
          action: z.enum(['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE']).optional(),
        })
        .optional(),
    })
    .optional(),
  name: z.string().optional(),
});

const listenerMatch = z.strictObject({
  portNumber: uint32.optional(),
  portName: z.string().optional(),
  filterChain: z
    .strictObject({
      name: z.string().optional(),
      sni: z.string().optional(),
      transportProtocol: z.string().optional(),
      applicationProtocols: z.string().optional(),
      filter: filter.optional(),
      destinationPort: uint32.optional(),
    })
    .optional(),
  listenerFilter: z.string().optional(),
  name: z.string().optional(),
});

const waypointMatch = z.strictObject({
  portNumber: port.optional(),
  filter: filter.optional(),
  route: z.strictObject({ name: z.string().optional() }).optional(),
});

const match = z.strictObject({
  context: z.enum(['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT']).optional(),
  proxy: z.strictObject({ proxyVersion: z.string().optional(), metadata: stringMap.optional() }).optional(),
  listener: listenerMatch.optional(),
  routeConfiguration: routeConfigurationMatch.optional(),
  cluster: clusterMatch.optional(),
  waypoint: waypointMatch.optional(),
});

const patch = z.strictObject({
  operation: z
    .enum([
      'INVALID',
      'MERGE',
      'ADD',
      'REMOVE',
      'INSERT_BEFORE',
      'INSERT_AFTER',
      'INSERT_FIRST',
      'REPLACE',
      'MERGE_AND_REPLACE_LIST',
    ])
    .optional(),
  /** A part of Envoy's configuration, in the JSON of protobuf. */
  value: openMap.optional(),
  filterClass: z.enum(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS']).optional(),
});

/** Istio EnvoyFilter: every field. */
export const envoyFilterSchema = z.strictObject({
  workloadSelector: labelsSelector.optional(),
  targetRefs: policyTargets.targetRefs,
  configPatches: z
    .array(
      z.strictObject({
        applyTo: z
          .enum([
            'INVALID',
            'LISTENER',
            'FILTER_CHAIN',
            'NETWORK_FILTER',
            'HTTP_FILTER',
            'ROUTE_CONFIGURATION',
            'VIRTUAL_HOST',
            'HTTP_ROUTE',
            'CLUSTER',
            'EXTENSION_CONFIG',
            'BOOTSTRAP',
            'LISTENER_FILTER',
          ])
          .optional(),
        match: match.optional(),
        patch: patch.optional(),
      }),
    )
    .optional(),
  priority: int32().optional(),
});
