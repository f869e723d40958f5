import { toBinary } from '@bufbuild/protobuf';
import type { ResourceType } from '../../../codec/codec.js';
import { CLUSTER, LISTENER, ROUTE_CONFIGURATION } from '../../../codec/resource-types.js';
import type { Cluster } from '../../../model/cluster.js';
import type { InboundListener, Listener } from '../../../model/listener.js';
import { cluster as clusterProto, listener as listenerProto } from '../../../proto/xds.js';
import { messageOf } from '../../../runtime/errors.js';
import type { ResourceEncoders, WireResource } from '../../resources/resource-set.js';
import { PASSTHROUGH_CLUSTER } from '../envoy/forward-proxy.js';
import type { Outline } from '../outlined.js';
import { extensionConfigs } from './extension-configs.js';
import { addedClusters, isForCluster, patchCluster } from './patch-cluster.js';
import { addedListeners, patchListener } from './patch-listener.js';
import { patchRoutes } from './patch-routes.js';
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

/** The outline with the patches of EnvoyFilters. */
export function patchOutline(outline: Outline, target: PatchTarget): Outline {
  const { patches, context } = target;
  if (patches.length === 0) return outline;
  const clusters = patchAll(
    outline.clusters,
    CLUSTER,
    target,
    (bytes) => patchCluster(bytes, patches, context),
    (name) => patches.some((one) => one.applyTo === 'CLUSTER' && isForCluster(one, name)),
  );
  for (const message of addedClusters(patches, context)) {
    const bytes = toBinary(clusterProto.ClusterSchema, message);
    const model = { ...PASSTHROUGH_CLUSTER, name: message.name };
    const added: Cluster | undefined = accept(model, bytes, CLUSTER, target);
    if (added !== undefined) clusters.set(message.name, added);
  }
  const listeners = patchAll(
    outline.listeners,
    LISTENER,
    target,
    (bytes, name) => patchListener(bytes, patches, { context, port: listenerPort(name) }),
    () => patches.some(({ applyTo }) => isOfListeners(applyTo)),
  );
  const routes = patchAll(
    outline.routes,
    ROUTE_CONFIGURATION,
    target,
    (bytes, name) => patchRoutes(bytes, patches, tablePlace(name, context)),
    () => patches.some(({ applyTo }) => OF_TABLES.has(applyTo)),
  );
  const extensions = extensionConfigs(patches, target);
  return {
    ...outline,
    clusters,
    routes,
    ...withListeners(outline, listeners, target),
    ...(extensions && { extensions }),
  };
}

/** Listeners that patches bring go where the others of their kind are. */
function withListeners(
  { wireListeners }: Outline,
  listeners: Map<string, Listener>,
  target: PatchTarget,
): Pick<Outline, 'listeners' | 'wireListeners'> {
  const { patches, context, isOurs } = target;
  const wires = new Map<string, WireResource>();
  for (const { name, bytes } of wireListeners?.values() ?? []) {
    const changed = patchListener(bytes, patches, { context, port: listenerPort(name) });
    if (changed !== undefined) wires.set(name, { name, bytes: changed });
  }
  for (const message of addedListeners(patches, context)) {
    const bytes = toBinary(listenerProto.ListenerSchema, message);
    if (!isOurs) wires.set(message.name, { name: message.name, bytes });
    else {
      const added = decoded(bytes, LISTENER, message.name, target);
      if (added !== undefined) listeners.set(message.name, added);
    }
  }
  return { listeners, wireListeners: wires.size === 0 ? wireListeners : wires };
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

function patchAll<T extends { readonly name: string }>(
  resources: ReadonlyMap<string, T>,
  type: ResourceType<T>,
  target: PatchTarget,
  change: (bytes: Uint8Array, name: string) => Uint8Array | undefined,
  concerns: (name: string) => boolean,
): Map<string, T> {
  const patched = new Map<string, T>();
  for (const [name, resource] of resources) {
    if (!concerns(name)) {
      patched.set(name, resource);
      continue;
    }
    const before = encodeBy(type, target.encoders)(resource);
    const after = change(before, name);
    if (after === undefined) continue;
    patched.set(name, after === before ? resource : (accept(resource, after, type, target) ?? resource));
  }
  return patched;
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

function decoded<T>(
  bytes: Uint8Array,
  type: ResourceType<T>,
  name: string,
  { onRefused }: PatchTarget,
): T | undefined {
  try {
    return type.decode(bytes).resource;
  } catch (error) {
    onRefused(`EnvoyFilters do not change ${type.short} ${name} for members: ${messageOf(error)}`);
    return undefined;
  }
}
