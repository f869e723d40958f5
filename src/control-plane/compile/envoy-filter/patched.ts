import { toBinary } from '@bufbuild/protobuf';
import type { ResourceType } from '../../../codec/codec.js';
import { CLUSTER, LISTENER, ROUTE_CONFIGURATION } from '../../../codec/resource-types.js';
import type { Cluster } from '../../../model/cluster.js';
import type { InboundListener, Listener } from '../../../model/listener.js';
import type { RouteConfiguration } from '../../../model/route.js';
import { cluster as clusterProto, listener as listenerProto } from '../../../proto/xds.js';
import { messageOf } from '../../../runtime/errors.js';
import { ShardedMap } from '../../../runtime/sharded-map.js';
import type { Steps } from '../../../runtime/steps.js';
import { isSameAnswer } from '../../kinds/reads.js';
import type { ResourceEncoders, WireResource } from '../../resources/resource-set.js';
import { PASSTHROUGH_CLUSTER } from '../envoy/forward-proxy.js';
import { Mapped } from '../mapped.js';
import type { Outline } from '../outlined.js';
import { extensionConfigs } from './extension-configs.js';
import { addedClusters, isForCluster, patchCluster } from './patch-cluster.js';
import { addedListeners, patchListener } from './patch-listener.js';
import { patchRoutes } from './patch-routes.js';
import { PatchedFilters, type ReadBack } from './patched-filters.js';
import type { ApplyTo, Patch, PatchContext } from './patches.js';
import { listenerPort, tablePlace } from './places.js';

/** For whom resources are patched. */
export interface PatchTarget {
  readonly patches: readonly Patch[];
  readonly encoders: ResourceEncoders;
  /** Whether our SDK reads what comes out, which refuses as a whole what it can't carry out in full. */
  readonly isOurs: boolean;
  readonly context: PatchContext;
  /** Hears why a resource stays without its patches. */
  readonly onRefused: (reason: string) => void;
}

/** Patches of these are applied to route tables. */
const OF_TABLES: ReadonlySet<ApplyTo> = new Set<ApplyTo>([
  'ROUTE_CONFIGURATION',
  'VIRTUAL_HOST',
  'HTTP_ROUTE',
]);

function isOfListeners(applyTo: ApplyTo): boolean {
  return applyTo !== 'CLUSTER' && !OF_TABLES.has(applyTo);
}

/** The outline with the patches of EnvoyFilters; follows it, and shares with it whatever no patch is about. */
export class PatchedOutlines {
  #applied: AppliedPatches | undefined;

  /** May be left in a pause. */
  *of(outline: Outline, target: PatchTarget): Steps<Outline> {
    if (target.patches.length === 0) return outline;
    // Documents may say something else under the same names.
    if (this.#applied === undefined || !isSameAnswer(this.#applied.target.patches, target.patches))
      this.#applied = new AppliedPatches(target);
    return yield* this.#applied.of(outline);
  }
}

/** The same patches, applied to one outline after the other. */
class AppliedPatches {
  readonly target: PatchTarget;
  readonly #clusters: PatchedResources<Cluster>;
  readonly #listeners: PatchedResources<Listener>;
  readonly #routes: PatchedResources<RouteConfiguration>;
  readonly #wires: PatchedResources<WireResource>;
  readonly #extensions: Outline['extensions'];

  constructor(target: PatchTarget) {
    const { patches, context, isOurs } = target;
    this.target = target;
    this.#clusters = new PatchedResources<Cluster>({
      isConcerned: patches.some(({ applyTo }) => applyTo === 'CLUSTER'),
      change: (cluster) =>
        patches.some((one) => one.applyTo === 'CLUSTER' && isForCluster(one, cluster.name))
          ? changed(cluster, CLUSTER, target, (bytes) => patchCluster(bytes, patches, context))
          : cluster,
      added: addedClusters(patches, context).flatMap((message) => {
        const bytes = toBinary(clusterProto.ClusterSchema, message);
        return accept<Cluster>({ ...PASSTHROUGH_CLUSTER, name: message.name }, bytes, CLUSTER, target) ?? [];
      }),
    });
    const hasTables = context === 'SIDECAR_INBOUND';
    const hasListeners = patches.some(
      ({ applyTo }) => isOfListeners(applyTo) || (hasTables && applyTo !== 'CLUSTER'),
    );
    const wires = addedListeners(patches, context).map((message) => ({
      name: message.name,
      bytes: toBinary(listenerProto.ListenerSchema, message),
    }));
    const filters = isOurs ? new PatchedFilters(patches) : undefined;
    this.#listeners = new PatchedResources<Listener>({
      isConcerned: hasListeners,
      change: (listener) => {
        const place = { context, port: listenerPort(listener.name) };
        const change = (bytes: Uint8Array) => patchListener(bytes, patches, place);
        const shared = filters?.of(listener, place, () => readBack(listener, change, target));
        if (shared === undefined) return changed(listener, LISTENER, target, change);
        if ('listener' in shared) return shared.listener;
        refuse(LISTENER, listener.name, shared.reason, target);
        return listener;
      },
      // Listeners that patches bring go where the others of their kind are.
      added: isOurs ? wires.flatMap(({ name, bytes }) => decoded(bytes, LISTENER, name, target) ?? []) : [],
    });
    this.#wires = new PatchedResources<WireResource>({
      isConcerned: hasListeners,
      change: (wire) => {
        const place = { context, port: listenerPort(wire.name), hasTables };
        const bytes = patchListener(wire.bytes, patches, place);
        return bytes === wire.bytes ? wire : bytes && { ...wire, bytes };
      },
      added: isOurs ? [] : wires,
    });
    this.#routes = new PatchedResources<RouteConfiguration>({
      isConcerned: patches.some(({ applyTo }) => OF_TABLES.has(applyTo)),
      change: (table) =>
        changed(table, ROUTE_CONFIGURATION, target, (bytes) =>
          patchRoutes(bytes, patches, tablePlace(table.name, context)),
        ),
      added: [],
    });
    this.#extensions = extensionConfigs(patches, target);
  }

  *of(outline: Outline): Steps<Outline> {
    const { wireListeners = NO_WIRES } = outline;
    const wires = yield* this.#wires.of(wireListeners);
    return {
      ...outline,
      clusters: yield* this.#clusters.of(outline.clusters),
      listeners: yield* this.#listeners.of(outline.listeners),
      routes: yield* this.#routes.of(outline.routes),
      ...(wires.size > 0 && { wireListeners: wires }),
      ...(this.#extensions && { extensions: this.#extensions }),
    };
  }
}

const NO_WIRES = ShardedMap.from<WireResource>([]);

interface Patching<T> {
  /** Whether any patch may be about resources of the type. */
  readonly isConcerned: boolean;
  /** The same object where no patch is about it; undefined = it is removed. */
  readonly change: (resource: T) => T | undefined;
  /** What patches bring. */
  readonly added: readonly T[];
}

/** The resources of one type with the same patches, one state after the other. */
class PatchedResources<T extends { readonly name: string }> {
  readonly #patching: Patching<T>;
  readonly #changed: Mapped<T, T>;
  #last: { readonly from: ShardedMap<T>; readonly to: ShardedMap<T> } | undefined;

  constructor(patching: Patching<T>) {
    this.#patching = patching;
    this.#changed = new Mapped(patching.change);
  }

  *of(resources: ShardedMap<T>): Steps<ShardedMap<T>> {
    const { isConcerned, added } = this.#patching;
    if (!isConcerned) return resources;
    yield* this.#changed.prepare(resources);
    const { map: from } = this.#changed.of(resources);
    if (this.#last?.from !== from) this.#last = { from, to: from.with(added.map((one) => [one.name, one])) };
    return this.#last.to;
  }
}

/** The listener of a served port with its patches; undefined when one removes it. */
export function patchInbound(
  listener: InboundListener,
  port: number,
  target: PatchTarget,
): InboundListener | undefined {
  const { patches, encoders, context } = target;
  if (patches.length === 0) return listener;
  const before = encoders.listener(listener);
  const after = patchListener(before, patches, { context, port });
  if (after === before) return listener;
  if (after === undefined) return undefined;
  const changed: Listener | undefined = accept<Listener>(listener, after, LISTENER, target);
  // A patch may make of it what nobody can serve.
  return changed?.kind === 'inbound' ? changed : listener;
}

/** The resource as patches make it; the same object where they do not. */
function changed<T extends { readonly name: string }>(
  resource: T,
  type: ResourceType<T>,
  target: PatchTarget,
  change: (bytes: Uint8Array) => Uint8Array | undefined,
): T | undefined {
  const before = encodeBy(type, target.encoders)(resource);
  const after = change(before);
  if (after === undefined) return undefined;
  return after === before ? resource : (accept(resource, after, type, target) ?? resource);
}

function encodeBy<T>(type: ResourceType<T>, encoders: ResourceEncoders): (resource: T) => Uint8Array {
  const byType: Readonly<Record<string, unknown>> = {
    LDS: encoders.listener,
    RDS: encoders.route,
    CDS: encoders.cluster,
  };
  // The encoder of the type that the resource is of.
  return (byType[type.short] ?? type.encode) as (resource: T) => Uint8Array;
}

/** What our SDK reads is read here, too; for others the bytes travel beside the model. Undefined = it is refused. */
function accept<T extends { readonly name: string }>(
  resource: T,
  bytes: Uint8Array,
  type: ResourceType<T>,
  target: PatchTarget,
): T | undefined {
  if (!target.isOurs) return { ...resource, wire: bytes };
  return decoded(bytes, type, resource.name, target);
}

/** A listener of our SDK as it comes out of its patches; undefined = they remove it. */
function readBack(
  listener: Listener,
  change: (bytes: Uint8Array) => Uint8Array | undefined,
  { encoders }: PatchTarget,
): ReadBack | undefined {
  const after = change(encoders.listener(listener));
  if (after === undefined) return undefined;
  try {
    return { listener: LISTENER.decode(after).resource };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}

function decoded<T>(
  bytes: Uint8Array,
  type: ResourceType<T>,
  name: string,
  target: PatchTarget,
): T | undefined {
  try {
    return type.decode(bytes).resource;
  } catch (error) {
    refuse(type, name, messageOf(error), target);
    return undefined;
  }
}

function refuse(
  { short }: Pick<ResourceType<unknown>, 'short'>,
  name: string,
  reason: string,
  { onRefused }: PatchTarget,
): void {
  onRefused(`EnvoyFilters do not change ${short} ${name} for members: ${reason}`);
}
