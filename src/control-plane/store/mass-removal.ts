import { WeakMemo } from '../../runtime/weak-memo.js';
import { KIND_NAMES } from '../kinds/kinds.js';
import type { ConfigView, Document, KindName } from '../kinds/view.js';
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
  return Object.entries(SORTS).flatMap(([sort, kinds]) => {
    let total = 0;
    let removed = 0;
    for (const [kind, namesOf] of kinds) {
      const old = namesIn(before.list(kind), namesOf);
      total += old.size;
      if (before.list(kind) === after.list(kind)) continue;
      const now = namesIn(after.list(kind), namesOf);
      for (const name of old) if (!now.has(name)) removed++;
    }
    const isMuch = total >= minimum && removed > total * share;
    // The keys of SORTS.
    return isMuch ? [{ sort: sort as Removal['sort'], removed, total }] : [];
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

/** What documents of a kind name of some sort. */
type NamesOf<K extends KindName = KindName> = (document: Document<K>) => readonly string[];

/** Which kinds name something of a sort; no two name the same. */
const SORTS: { readonly [S in Removal['sort']]: readonly (readonly [KindName, NamesOf])[] } = {
  services: [of('Service', nameOf), of('ServiceEntry', ({ spec }) => spec.hosts ?? [])],
  endpoints: [
    of('WorkloadEntry', nameOf),
    of('ServiceEntry', ({ namespace, name, spec }) =>
      (spec.endpoints ?? []).map(({ address }, index) => `${namespace}/${name} ${address ?? index}`),
    ),
    of('EndpointSlice', ({ namespace, spec }) =>
      (spec.endpoints ?? []).flatMap(({ addresses }) =>
        addresses.map((address) => `${namespace} ${address}`),
      ),
    ),
    of('Pod', nameOf),
  ],
  documents: KIND_NAMES.map((kind) => of(kind, nameOf)),
};

function of<K extends KindName>(kind: K, namesOf: NamesOf<K>): readonly [KindName, NamesOf] {
  // It is asked of documents of this kind alone.
  return [kind, namesOf as NamesOf];
}

function nameOf({ namespace, name }: Document): readonly string[] {
  return [`${namespace}/${name}`];
}

const known = new WeakMemo<Map<NamesOf, ReadonlySet<string>>>();

/** The names in a list; looked for once. */
function namesIn(documents: readonly Document[], namesOf: NamesOf): ReadonlySet<string> {
  const byQuestion = known.get([documents], () => new Map());
  let names = byQuestion.get(namesOf);
  if (names === undefined) {
    names = new Set(documents.flatMap(namesOf));
    byQuestion.set(namesOf, names);
  }
  return names;
}
