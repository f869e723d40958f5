import { NO_LOCALITY } from '../../model/endpoint.js';
import { isNowhere, localityOfLabels } from '../../model/locality.js';
import type { Node } from '../../model/node.js';
import { DEFAULT_CLUSTER_ID } from '../registry/workload.js';
import type { ConfigView } from '../store/view.js';
import { CLUSTER_LABEL, type ClientPlace, withTopology } from './locality-balance.js';
import { localityInterest } from './locality-setting.js';
import type { MeshConfig } from './mesh-config.js';

/** Everything about a client that its configuration depends on: clients with equal keys receive the same. */
export interface Profile {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `inmesh` for our SDK; `grpc` for gRPC's own xDS clients, which read a route's timeout from another field. */
  readonly generator: 'inmesh' | 'grpc';
  /** Where the client is, as far as that makes a difference. */
  readonly place: ClientPlace;
  readonly key: string;
}

const NO_LABELS: Readonly<Record<string, string>> = {};

/** The profile of a node. Of its labels only those count that the configuration asks for, so that few profiles do. */
export function profileOf(node: Node, view: ConfigView, config: MeshConfig): Profile {
  const { NAMESPACE, LABELS, GENERATOR } = node.metadata;
  const namespace = NAMESPACE || namespaceOfId(node.id);
  const generator = GENERATOR === 'inmesh' ? 'inmesh' : 'grpc';
  const wanted = sourceLabelKeys(view).filter((key) => Object.hasOwn(LABELS, key));
  const labels =
    wanted.length === 0 ? NO_LABELS : Object.fromEntries(wanted.map((key) => [key, LABELS[key] ?? '']));
  const place = placeOf(node, view, config);
  return { namespace, labels, generator, place, key: JSON.stringify([generator, namespace, labels, place]) };
}

/** Istio: a node that does not say where it is, is where its labels say. */
function placeOf({ locality: own, metadata }: Node, view: ConfigView, config: MeshConfig): ClientPlace {
  const interest = localityInterest(view, config);
  if (!interest.locality && interest.labels.length === 0) return { locality: NO_LOCALITY, labels: NO_LABELS };
  const locality = isNowhere(own) ? localityOfLabels(metadata.LABELS) : own;
  const all = withTopology(metadata.LABELS, locality, metadata.CLUSTER_ID ?? DEFAULT_CLUSTER_ID);
  const labelValue = (name: string) => (Object.hasOwn(all, name) ? (all[name] ?? '') : '');
  return {
    locality: interest.locality ? locality : NO_LOCALITY,
    labels: Object.fromEntries([CLUSTER_LABEL, ...interest.labels].map((name) => [name, labelValue(name)])),
  };
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
    for (const { match } of [...(spec.http ?? []), ...(spec.tls ?? []), ...(spec.tcp ?? [])]) {
      for (const { sourceLabels } of match ?? [])
        for (const key of Object.keys(sourceLabels ?? {})) keys.add(key);
    }
  }
  const sorted = [...keys].sort();
  keysOfView.set(view, sorted);
  return sorted;
}
