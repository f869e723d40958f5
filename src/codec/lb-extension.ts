import { create } from '@bufbuild/protobuf';
import { cluster, type wkt } from '../proto/xds.js';

/** An entry of a list of policies. */
export function extension(name: string, typedConfig: wkt.Any): cluster.LoadBalancingPolicy_Policy {
  return create(cluster.LoadBalancingPolicy_PolicySchema, {
    typedExtensionConfig: { name: `envoy.load_balancing_policies.${name}`, typedConfig },
  });
}
