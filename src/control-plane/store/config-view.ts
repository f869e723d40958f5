import type { ConfigView, Document, KindName } from './view.js';

/** Makes a view of documents that are in load order. */
export function createView(revision: number, documents: readonly Document[]): ConfigView {
  const byKind = new Map<KindName, Document[]>();
  const byName = new Map<string, Document>();
  for (const document of documents) {
    const list = byKind.get(document.kind) ?? [];
    list.push(document);
    byKind.set(document.kind, list);
    byName.set(keyOf(document.kind, document.namespace, document.name), document);
  }
  for (const list of byKind.values()) Object.freeze(list);
  return Object.freeze({
    revision,
    list<K extends KindName>(kind: K): readonly Document<K>[] {
      // Filed under its own kind.
      return (byKind.get(kind) ?? []) as readonly Document[] as readonly Document<K>[];
    },
    get<K extends KindName>(kind: K, namespace: string, name: string): Document<K> | undefined {
      // Filed under its own kind.
      return byName.get(keyOf(kind, namespace, name)) as Document<K> | undefined;
    },
  });
}

/** What tells one object from all others. */
export function keyOf(kind: KindName, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}
