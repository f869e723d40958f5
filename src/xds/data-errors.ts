import type { DecodableType, ResourceChange } from './protocol.js';
import type { ServerFeatures } from './server.js';

/** Status codes of an error that take a value away, where errors do (gRFC A88): NOT_FOUND, PERMISSION_DENIED. */
const FINAL_CODES: ReadonlySet<number> = new Set([5, 7]);

/** NOT_FOUND. */
const NOT_FOUND = 5;

/**
 * Whether a value that is held stays in use although the server removed it, refused it, or sent one that does not
 * decode. `fail_on_data_errors` (gRFC A88) says no to all of them. Without it a removed listener or cluster goes, unless
 * the server's removals are to be ignored (A53); removed routes and endpoints stay until nothing refers to them (Envoy).
 */
export function keepsValue(change: ResourceChange, features: ServerFeatures): boolean {
  switch (change.kind) {
    case 'updated':
    case 'unchanged':
      return true;
    case 'removed':
      return !features.failOnDataErrors && keepsRemoved(change.type, features);
    case 'rejected':
      return !features.failOnDataErrors;
    case 'failed':
      return !features.failOnDataErrors || !FINAL_CODES.has(change.code);
  }
}

/** Whether an error says that the resource does not exist, rather than that it can't be had. */
export function isAbsence(code: number): boolean {
  return code === NOT_FOUND;
}

function keepsRemoved(
  { complete, isRemovable = false }: DecodableType,
  { ignoreResourceDeletion }: ServerFeatures,
): boolean {
  return isRemovable ? false : !complete || ignoreResourceDeletion;
}
