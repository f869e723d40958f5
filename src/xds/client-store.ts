import { CLUSTER_LOAD_ASSIGNMENT } from '../codec/resource-types.js';
import type { ClusterLoadAssignment } from '../model/endpoint.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import type { DecodableType } from './protocol.js';
import { ResourceStore } from './store.js';

/** The store of a client, whose operator hears of values that stay in use against the server's word. */
export function createClientStore(
  types: readonly DecodableType[],
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): ResourceStore {
  return new ResourceStore({
    types,
    clock,
    isHollow: isEmptyAssignment,
    onKept: ({ short }, name) =>
      logger.warn(
        { type: short, resource: name },
        'the control plane removed a resource that is in use; it stays in use',
      ),
    onLastResort: (_, name) =>
      logger.warn(
        { resource: name },
        'all endpoints of a cluster were removed; the last ones stay in use for 10 minutes',
      ),
  });
}

function isEmptyAssignment(typeUrl: string, resource: unknown): boolean {
  if (typeUrl !== CLUSTER_LOAD_ASSIGNMENT.typeUrl) return false;
  // Values of this type URL were made by CLUSTER_LOAD_ASSIGNMENT.decode.
  const { localities } = resource as ClusterLoadAssignment;
  return localities.every(({ endpoints }) => endpoints.length === 0);
}
