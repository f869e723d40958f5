import type { Cluster } from '../../../model/cluster.js';
import type { Listener } from '../../../model/listener.js';
import { isEqual } from '../../../runtime/equal.js';
import { ShardedMap } from '../../../runtime/sharded-map.js';
import type { Steps } from '../../../runtime/steps.js';
import { recordSteps } from '../../kinds/derived.js';
import type { Reads } from '../../kinds/reads.js';
import type { ConfigView } from '../../kinds/view.js';
import { Mapped } from '../mapped.js';
import { unknownHostOf } from '../outbound-policy.js';
import type { CommonOutline, Outline, OwnInput } from '../outlined.js';
import type { EnvoyOptions } from '../profile.js';
import { ALLOW_ANY, dialsNamedHost, PASSTHROUGH_CLUSTER } from './forward-proxy.js';
import { EnvoyOutbounds } from './outbound.js';
import { gatewaysOf, tracedBy } from './own-gateways.js';

const NO_LISTENERS = ShardedMap.from<Listener>([]);

/** What an Envoy's outline is made from, besides what it shares with others. */
export interface EnvoyInput extends OwnInput {
  readonly envoy: EnvoyOptions;
}

interface Made {
  readonly from: CommonOutline;
  readonly input: EnvoyInput;
  /** Of the keys of issuers. */
  readonly keys: number;
  readonly reads: Reads<ConfigView>;
  readonly outline: Outline;
}

/**
 * What Envoys of one profile are sent in place of the common outline: listeners on sockets, and tables of many hosts.
 * Follows it, and what documents say of Gateways.
 */
export class EnvoyOutlines {
  readonly #outbound = new EnvoyOutbounds();
  readonly #clusters = new Mapped((cluster: Cluster) =>
    cluster.discovery.kind === 'original-dst' ? dialsNamedHost(cluster) : cluster,
  );
  #allClusters: { readonly from: ShardedMap<Cluster>; readonly all: ShardedMap<Cluster> } | undefined;
  #last: Made | undefined;

  /** May be left in a pause. */
  *of(common: CommonOutline, input: EnvoyInput): Steps<Outline> {
    if (this.#last !== undefined && holds(this.#last, common, input)) return this.#last.outline;
    yield* this.#clusters.prepare(common.clusters);
    const { value: outline, reads } = yield* recordSteps(input.view, (view) =>
      this.#made(view, common, input),
    );
    this.#last = { from: common, input, keys: input.keys.revision, reads, outline };
    return outline;
  }

  *#made(view: ConfigView, common: CommonOutline, input: EnvoyInput): Steps<Outline> {
    const { profile, config, envoy } = input;
    const traced = tracedBy(profile, envoy, common.services);
    const gateways = gatewaysOf(view, common, { ...input, traced });
    yield;
    const unknown = unknownHostOf(profile, config, (name) => common.services.get(name)) ?? ALLOW_ANY;
    const outbound = this.#outbound.of(common, envoy, { config, unknown, traced });
    const before = this.#last?.outline;
    return {
      listeners: NO_LISTENERS,
      routes: keep(before?.routes, [...outbound.tables, ...gateways.tables]),
      clusters: this.#clustersOf(common.clusters),
      wireListeners: keep(before?.wireListeners, [...outbound.listeners, ...gateways.listeners]),
    };
  }

  #clustersOf(common: ShardedMap<Cluster>): ShardedMap<Cluster> {
    const { map } = this.#clusters.of(common);
    if (this.#allClusters?.from !== map)
      this.#allClusters = { from: map, all: map.with([[PASSTHROUGH_CLUSTER.name, PASSTHROUGH_CLUSTER]]) };
    return this.#allClusters.all;
  }
}

function holds(last: Made, common: CommonOutline, { shape, keys, config, view }: EnvoyInput): boolean {
  return (
    last.from === common &&
    // Services that authorize may come and go with the registry.
    last.input.shape === shape &&
    last.keys === keys.revision &&
    isEqual(last.input.config, config) &&
    last.reads.hold(view)
  );
}

/** The resources by name; the old object wherever nothing changed, and the old map where nothing did at all. */
function keep<T extends { readonly name: string }>(
  before: ShardedMap<T> = ShardedMap.from<T>([]),
  after: readonly T[],
): ShardedMap<T> {
  const entries = after.map((one) => {
    const old = before.get(one.name);
    return [one.name, isEqual(old, one) ? (old ?? one) : one] as const;
  });
  return before.replacedBy(new Map(entries));
}
