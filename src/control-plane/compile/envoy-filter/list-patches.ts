import type { Patch } from './patches.js';

/** How a patch finds its place among items. */
interface Finding<T> {
  /** Whether the patch says which item it is about. */
  readonly namesItem: (patch: Patch) => boolean;
  readonly isIt: (item: T, patch: Patch) => boolean;
  /** The item that a patch brings. */
  readonly itemOf: (patch: Patch) => T | undefined;
}

/** Istio: adds, puts between, replaces and removes items, one patch after the other; merging comes after that. */
export function patchList<T>(items: readonly T[], patches: readonly Patch[], finding: Finding<T>): T[] {
  let list = [...items];
  for (const patch of patches) list = patchOnce(list, patch, finding);
  return list;
}

function patchOnce<T>(list: T[], patch: Patch, { namesItem, isIt, itemOf }: Finding<T>): T[] {
  const named = namesItem(patch);
  if (patch.operation === 'REMOVE') return named ? list.filter((item) => !isIt(item, patch)) : list;
  const item = itemOf(patch);
  if (item === undefined) return list;
  const at = named ? list.findIndex((one) => isIt(one, patch)) : -1;
  switch (patch.operation) {
    case 'ADD':
      return [...list, item];
    case 'INSERT_FIRST':
      return [item, ...list];
    case 'INSERT_AFTER':
      // Istio: after nothing in particular is at the end, before nothing in particular at the beginning.
      if (!named) return [...list, item];
      return at < 0 ? list : list.toSpliced(at + 1, 0, item);
    case 'INSERT_BEFORE':
      if (!named) return [item, ...list];
      return at < 0 ? list : list.toSpliced(at, 0, item);
    case 'REPLACE':
      return named ? list.map((one) => (isIt(one, patch) ? item : one)) : list;
    default:
      return list;
  }
}

/** Whether the patch changes an item that is there. */
export function merges({ operation }: Patch): boolean {
  return operation === 'MERGE' || operation === 'MERGE_AND_REPLACE_LIST';
}

/** What becomes of lists in it. */
export function listsOf({ operation }: Patch): 'append' | 'replace' {
  return operation === 'MERGE_AND_REPLACE_LIST' ? 'replace' : 'append';
}
