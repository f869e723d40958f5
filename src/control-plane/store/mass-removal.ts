import { keyOf } from '../documents/config-view.js';
import { KIND_NAMES } from '../kinds/kinds.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { fileViolation } from '../schema/config-file.js';
import type { Violation } from '../schema/violation.js';

/** When a change is held back because of how much it would take away. */
export interface MassRemovalOptions {
  /** Part of the services, endpoints or documents in force, above 0 to 1; a change that removes more is held. Default 0.5. */
  readonly share?: number | undefined;
  /** Of fewer in force any part may go. Default 10. */
  readonly minimum?: number | undefined;
}

/** How much of one sort a change would remove. */
export interface Removal {
  readonly sort: 'services' | 'endpoints' | 'documents';
  readonly removed: number;
  readonly total: number;
}

/** What a change would take away that is more than may go at once. */
export function massRemovals(
  before: ConfigView,
  after: ConfigView,
  { share = 0.5, minimum = 10 }: MassRemovalOptions,
): readonly Removal[] {
  const sorts = [
    ['services', servicesOf],
    ['endpoints', endpointsOf],
    ['documents', documentsOf],
  ] as const;
  return sorts.flatMap(([sort, namesOf]) => {
    const [old, now] = [namesOf(before), namesOf(after)];
    const removed = [...old].filter((name) => !now.has(name)).length;
    return old.size >= minimum && removed > old.size * share ? [{ sort, removed, total: old.size }] : [];
  });
}

/** The complaint that holds the change of a source back. */
export function massRemovalViolation(source: string, removals: readonly Removal[]): Violation {
  const what = removals.map(({ sort, removed, total }) => `${removed} of ${total} ${sort}`).join(', ');
  const message = `the change would remove ${what} at once; it is held back, and what was in force stays, until it is confirmed`;
  return fileViolation('INMESH_MASS_REMOVAL', source, message);
}

/** Every document of a view. */
export function allDocuments(view: ConfigView): readonly Document[] {
  return KIND_NAMES.flatMap((kind) => view.list(kind));
}

function documentsOf(view: ConfigView): ReadonlySet<string> {
  return new Set(allDocuments(view).map(({ kind, namespace, name }) => keyOf(kind, namespace, name)));
}

function servicesOf(view: ConfigView): ReadonlySet<string> {
  return new Set([
    ...view.list('Service').map(({ namespace, name }) => `${namespace}/${name}`),
    ...view.list('ServiceEntry').flatMap(({ spec }) => spec.hosts ?? []),
  ]);
}

function endpointsOf(view: ConfigView): ReadonlySet<string> {
  return new Set([
    ...view.list('WorkloadEntry').map(({ namespace, name }) => `entry ${namespace}/${name}`),
    ...view
      .list('ServiceEntry')
      .flatMap(({ namespace, name, spec }) =>
        (spec.endpoints ?? []).map(({ address }, index) => `${namespace}/${name} ${address ?? index}`),
      ),
    ...view
      .list('EndpointSlice')
      .flatMap((slice) =>
        (slice.spec.endpoints ?? []).flatMap(({ addresses }) =>
          addresses.map((address) => `slice ${slice.namespace} ${address}`),
        ),
      ),
    ...view.list('Pod').map(({ namespace, name }) => `pod ${namespace}/${name}`),
  ]);
}
