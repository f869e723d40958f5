import type { Host } from '../cluster/host.js';
import { LB_NAMESPACE, type MetadataStruct } from '../model/metadata.js';
import type { RetryPolicy } from '../model/retry.js';
import { isEqual } from '../runtime/equal.js';

/** What a policy's predicates have against a host, besides that it was tried; undefined when there are none. */
export function compileRejects(policy: RetryPolicy): ((host: Host) => boolean) | undefined {
  const { omitCanaryHosts = false, omitHostMetadata = [] } = policy;
  const structs = omitHostMetadata.filter((struct) => Object.keys(struct).length > 0);
  if (!omitCanaryHosts && structs.length === 0) return undefined;
  return (host) => {
    const metadata = host.endpoint.metadata[LB_NAMESPACE];
    if (metadata === undefined) return false;
    // Envoy: `canary: true` of `envoy.lb` makes a canary of a host.
    if (omitCanaryHosts && metadata['canary'] === true) return true;
    return structs.some((struct) => holds(metadata, struct));
  };
}

/** Envoy: the host's metadata has all the pairs. */
function holds(metadata: MetadataStruct, pairs: MetadataStruct): boolean {
  return Object.entries(pairs).every(
    ([key, value]) => Object.hasOwn(metadata, key) && isEqual(metadata[key], value),
  );
}
