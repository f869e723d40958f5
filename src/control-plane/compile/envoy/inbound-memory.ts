import { createHash } from 'node:crypto';
import type { Node } from '../../../model/node.js';
import { isEqual } from '../../../runtime/equal.js';
import { ShardedMap } from '../../../runtime/sharded-map.js';
import { WeakMemo } from '../../../runtime/weak-memo.js';
import { record } from '../../kinds/derived.js';
import type { Reads } from '../../kinds/reads.js';
import type { ConfigView } from '../../kinds/view.js';
import type { WireResource } from '../../resources/resource-set.js';
import type { CompileInput, Outline } from '../outlined.js';
import type { InboundNode } from '../profile.js';
import { byName, type CollectorLookup, type CollectorPlace } from '../tracing.js';
import { type EnvoyInbound, envoyInbound } from './inbound.js';

const MAX_KNOWN = 20_000;

/** What inbound sides follow from besides documents and the node. */
export interface InboundBasis extends Omit<CompileInput, 'pods'> {
  /** What the same node is sent for its calls. */
  readonly outline: Outline;
  /** Grows with the services that are registered. */
  readonly shape: number;
}

interface Known {
  readonly reads: Reads<ConfigView>;
  readonly basis: Pick<InboundBasis, 'config' | 'shape'> & { readonly keys: number };
  /** Which collectors of traces were asked for, and found. */
  readonly collectors: ReadonlyMap<string, CollectorPlace | undefined>;
  readonly made: EnvoyInbound;
}

/** The maps of a node: those of its outline with those of its inbound side. */
type BothSides = Pick<Outline, 'clusters'> & { readonly wireListeners: ShardedMap<WireResource> };

/**
 * The inbound sides of Envoys. Each is made anew only when the answer to something is another that was asked for it; those
 * that come to the same, as of the replicas of one application, are one object.
 */
export class InboundMemory {
  readonly #known = new Map<string, Known>();
  readonly #byContent = new Map<string, EnvoyInbound>();
  readonly #both = new WeakMemo<BothSides>();
  /** What was said last, so that a message of a node costs nothing. */
  readonly #said = new WeakMap<Node, { readonly to: readonly unknown[]; readonly both: BothSides }>();

  /** What a node is sent: for its calls, and for those to the application beside it. */
  with(view: ConfigView, subject: InboundNode, basis: InboundBasis): BothSides {
    const to = [view, basis.outline, basis.shape, basis.keys.revision];
    const last = this.#said.get(subject.node);
    if (last !== undefined && to.every((one, at) => one === last.to[at])) return last.both;
    const both = this.#bothSides(view, subject, basis);
    this.#said.set(subject.node, { to, both });
    return both;
  }

  #bothSides(view: ConfigView, subject: InboundNode, basis: InboundBasis): BothSides {
    const inbound = this.#inbound(view, subject, basis);
    const { clusters, wireListeners = NONE } = basis.outline;
    return this.#both.get([clusters, wireListeners, inbound], () => ({
      clusters: clusters.with(inbound.clusters),
      wireListeners: wireListeners.with(inbound.listeners),
    }));
  }

  #inbound(view: ConfigView, subject: InboundNode, basis: InboundBasis): EnvoyInbound {
    const key = keyOf(subject);
    const { config, shape, outline } = basis;
    const last = this.#known.get(key);
    const own = { config, shape, keys: basis.keys.revision };
    const isSame =
      last !== undefined &&
      isEqual(last.basis, own) &&
      last.reads.hold(view) &&
      [...last.collectors].every(([asked, found]) => isEqual(findCollector(outline, asked), found));
    if (isSame) return last.made;
    const collectors = new Map<string, CollectorPlace | undefined>();
    const find: CollectorLookup = (service, port) => {
      const asked = `${service}:${port}`;
      const found = findCollector(outline, asked);
      collectors.set(asked, found);
      return found;
    };
    const { value, reads } = record(view, (recorded) => envoyInbound(recorded, subject, { ...basis, find }));
    const made = this.#shared(value);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(key, { reads, basis: own, collectors, made });
    return made;
  }

  #shared(made: EnvoyInbound): EnvoyInbound {
    const hash = createHash('sha256');
    for (const { bytes } of made.listeners.values()) hash.update(bytes);
    const content = hash.update(JSON.stringify([...made.clusters.values()])).digest('base64');
    const known = this.#byContent.get(content);
    if (known !== undefined) return known;
    if (this.#byContent.size >= MAX_KNOWN) this.#byContent.clear();
    this.#byContent.set(content, made);
    return made;
  }
}

const NONE = ShardedMap.from<WireResource>([]);

/** Istio: a collector that is not there is not reported to. */
function findCollector({ clusters }: Outline, asked: string): CollectorPlace | undefined {
  const split = asked.lastIndexOf(':');
  const place = byName(asked.slice(0, split), Number(asked.slice(split + 1)));
  return place !== undefined && clusters.has(place.cluster) ? place : undefined;
}

/** Everything of a node that its inbound side may depend on. */
function keyOf({ node, namespace, addresses }: InboundNode): string {
  const { metadata, cluster, extra } = node;
  return JSON.stringify([namespace, addresses, metadata, cluster, extra]);
}
