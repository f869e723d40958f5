import type { HttpFilter } from '../../../model/filter-config.js';
import type { Listener, OutboundListener } from '../../../model/listener.js';
import { isEqual } from '../../../runtime/equal.js';
import { isConcerned, type ListenerPlace } from './patch-listener.js';
import type { Patch } from './patches.js';

/** How the list of filters of one listener came out, which all with the same list have. */
interface PatchedList {
  readonly patches: readonly Patch[];
  readonly before: readonly HttpFilter[];
  /** Undefined = the listener is not carried out with it, for that reason. */
  readonly after: readonly HttpFilter[] | undefined;
  readonly reason: string;
}

/** What became of a listener that was patched and read back. */
export type ReadBack = { readonly listener: Listener } | { readonly reason: string };

/** So many different lists of filters are remembered. */
const MAX_LISTS = 64;

/**
 * Patches of HTTP filters in the listeners of callers. These are thousands with the same few lists of filters, so that each
 * list is patched once.
 */
export class PatchedFilters {
  readonly #patches: readonly Patch[];
  readonly #lists: PatchedList[] = [];

  constructor(patches: readonly Patch[]) {
    this.#patches = patches;
  }

  /**
   * The listener with its patches, or why it stays as it was; undefined where patches are about more than its filters.
   * `patch` does all of it for one listener.
   */
  of(listener: Listener, place: ListenerPlace, patch: () => ReadBack | undefined): ReadBack | undefined {
    if (listener.kind !== 'outbound') return undefined;
    const patches = this.#patches.filter((one) => isConcerned(one, listener.name, place));
    if (patches.length === 0) return { listener };
    if (patches.some(({ applyTo }) => applyTo !== 'HTTP_FILTER')) return undefined;
    const before = listener.http.filters;
    let list = this.#lists.find((one) => isSameList(one.patches, patches) && isEqual(one.before, before));
    if (list === undefined) {
      list = listOf(patches, before, patch());
      if (list === undefined) return undefined;
      if (this.#lists.length < MAX_LISTS) this.#lists.push(list);
    }
    return list.after === undefined
      ? { reason: list.reason }
      : { listener: withFilters(listener, list.after) };
  }
}

function listOf(
  patches: readonly Patch[],
  before: readonly HttpFilter[],
  patched: ReadBack | undefined,
): PatchedList | undefined {
  if (patched === undefined) return undefined;
  if ('reason' in patched) return { patches, before, after: undefined, reason: patched.reason };
  const { listener } = patched;
  return listener.kind === 'outbound'
    ? { patches, before, after: listener.http.filters, reason: '' }
    : undefined;
}

function isSameList(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((one, at) => one === right[at]);
}

function withFilters(listener: OutboundListener, filters: readonly HttpFilter[]): OutboundListener {
  return { ...listener, http: { ...listener.http, filters } };
}
