import { follow } from '../kinds/derived.js';
import type { ConfigView, Document, KindName } from '../kinds/view.js';
import { ConfigDocument, keyOf } from './document.js';

/** Makes a view of documents that are in load order; lists of which nothing changed are those of the view before. */
export function createView(
  revision: number,
  documents: readonly Document[],
  before?: ConfigView,
): ConfigView {
  const byKind = new Map<KindName, readonly Document[]>();
  const lists = new Map<KindName, Document[]>();
  const byName = new Map<string, Document>();
  for (const document of documents) {
    const list = lists.get(document.kind);
    if (list === undefined) lists.set(document.kind, [document]);
    else list.push(document);
    byName.set(
      document instanceof ConfigDocument
        ? document.key
        : keyOf(document.kind, document.namespace, document.name),
      document,
    );
  }
  for (const [kind, list] of lists) {
    const last: readonly Document[] | undefined = before?.list(kind);
    const isSame = last?.length === list.length && list.every((one, at) => one === last[at]);
    byKind.set(kind, isSame ? last : Object.freeze(list));
  }
  const view: ConfigView = Object.freeze({
    revision,
    list<K extends KindName>(kind: K): readonly Document<K>[] {
      // Filed under its own kind.
      return (byKind.get(kind) ?? NONE) as readonly Document<K>[];
    },
    get<K extends KindName>(kind: K, namespace: string, name: string): Document<K> | undefined {
      // Filed under its own kind.
      return byName.get(keyOf(kind, namespace, name)) as Document<K> | undefined;
    },
  });
  if (before !== undefined) follow(view, before);
  return view;
}

const NONE: readonly Document[] = Object.freeze([]);
