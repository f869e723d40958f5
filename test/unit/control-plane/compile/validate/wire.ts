import type { ResourceSet } from '../../../../../src/control-plane/resources/resource-set.js';

/** A resource as it travels, with the name of its message. */
export interface OnTheWire {
  readonly type: string;
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Every resource of a set as it travels. */
export function wireOf(set: ResourceSet): readonly OnTheWire[] {
  const { encoders } = set;
  const all = <T>(type: string, map: ReadonlyMap<string, T>, encode: (one: T) => Uint8Array) =>
    [...map].map(([name, one]) => ({ type: `envoy.config.${type}`, name, bytes: encode(one) }));
  return [
    ...all('listener.v3.Listener', set.listeners, encoders.listener),
    ...all('listener.v3.Listener', set.wireListeners, ({ bytes }) => bytes),
    ...all('route.v3.RouteConfiguration', set.routes, encoders.route),
    ...all('cluster.v3.Cluster', set.clusters, encoders.cluster),
    ...all('endpoint.v3.ClusterLoadAssignment', set.endpoints, encoders.endpoints),
  ];
}
