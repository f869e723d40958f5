import type { Document } from '../kinds/view.js';
import type { Condition } from './condition.js';
import type { ObjectStatus } from './object-status.js';

/** Gateway API: conditions say which generation of the object they are about. */
export function observedAt(generation: number, status: ObjectStatus): ObjectStatus {
  const { conditions, listeners, parents, ancestors } = status;
  const observed = <T extends { readonly conditions: readonly Condition[] }>(list: readonly T[]) =>
    list.map((one) => ({ ...one, conditions: withGeneration(generation, one.conditions) }));
  return {
    ...status,
    ...(conditions !== undefined && { conditions: withGeneration(generation, conditions) }),
    ...(listeners !== undefined && { listeners: observed(listeners) }),
    ...(parents !== undefined && { parents: observed(parents) }),
    ...(ancestors !== undefined && { ancestors: observed(ancestors) }),
  };
}

function withGeneration(observedGeneration: number, conditions: readonly Condition[]): readonly Condition[] {
  return conditions.map((one) => ({ ...one, observedGeneration }));
}

/** The `metadata` of a document as it is written. */
export function metadataOf(document: Document): Readonly<Record<string, unknown>> {
  const metadata = document.raw()['metadata'];
  // What is no array or null but an object has fields by name.
  return typeof metadata === 'object' && metadata !== null ? (metadata as Record<string, unknown>) : {};
}
