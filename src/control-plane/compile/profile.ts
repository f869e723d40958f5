import type { Node } from '../../model/node.js';
import type { ConfigView } from '../store/view.js';

/** Everything about a client that its configuration depends on: clients with equal keys receive the same. */
export interface Profile {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `inmesh` for our SDK; `grpc` for gRPC's own xDS clients, which read a route's timeout from another field. */
  readonly generator: 'inmesh' | 'grpc';
  readonly key: string;
}

const NO_LABELS: Readonly<Record<string, string>> = {};

/** The profile of a node. Of its labels only those count that the configuration asks for, so that few profiles do. */
export function profileOf(node: Node, view: ConfigView): Profile {
  const { NAMESPACE, LABELS, GENERATOR } = node.metadata;
  const namespace = NAMESPACE || namespaceOfId(node.id);
  const generator = GENERATOR === 'inmesh' ? 'inmesh' : 'grpc';
  const wanted = sourceLabelKeys(view).filter((key) => Object.hasOwn(LABELS, key));
  const labels =
    wanted.length === 0 ? NO_LABELS : Object.fromEntries(wanted.map((key) => [key, LABELS[key] ?? '']));
  return { namespace, labels, generator, key: JSON.stringify([generator, namespace, labels]) };
}

/** Istio's node ids end in `~<namespace>.svc.<domain>`. */
function namespaceOfId(id: string): string {
  return /~([^~.]+)\.svc\.[^~]*$/.exec(id)?.[1] ?? 'default';
}

const keysOfView = new WeakMap<ConfigView, readonly string[]>();

/** Labels of clients that some route depends on, sorted. */
function sourceLabelKeys(view: ConfigView): readonly string[] {
  const known = keysOfView.get(view);
  if (known !== undefined) return known;
  const keys = new Set<string>();
  for (const { spec } of view.list('VirtualService')) {
    for (const { match } of spec.http ?? []) {
      for (const { sourceLabels } of match ?? [])
        for (const key of Object.keys(sourceLabels ?? {})) keys.add(key);
    }
  }
  const sorted = [...keys].sort();
  keysOfView.set(view, sorted);
  return sorted;
}
