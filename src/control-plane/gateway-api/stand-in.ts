import type { Document, KindName, KindSpecs, Origin } from '../kinds/view.js';

const NO_VALUES: Readonly<Record<string, string>> = Object.freeze({});

const API_VERSION = 'inmesh.dev/internal';

/** Whether nobody wrote a document: it stands for one of the Gateway API. */
export function isStandIn({ apiVersion }: Document): boolean {
  return apiVersion === API_VERSION;
}

/** A document that nobody wrote: it stands for one of the Gateway API, and is where that one is. */
export function standIn<K extends KindName>(
  kind: K,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  spec: KindSpecs[K],
  source: Document,
): Document<K> {
  const { origin, order } = source;
  return {
    apiVersion: API_VERSION,
    kind,
    name,
    namespace,
    labels: NO_VALUES,
    annotations: NO_VALUES,
    spec,
    origin,
    order,
    position: (): Origin => origin,
    raw: () => source.raw(),
  };
}
