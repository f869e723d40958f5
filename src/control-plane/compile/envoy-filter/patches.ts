import { type DescMessage, fromJson, type JsonValue, type Message } from '@bufbuild/protobuf';
import type { Node } from '../../../model/node.js';
import { registry } from '../../../proto/registry.js';
import { cluster, core, httpConnectionManager as hcm, listener, route } from '../../../proto/xds.js';
import { compileRegex } from '../../../routing/regex.js';
import { messageOf } from '../../../runtime/errors.js';
import { WeakMemo } from '../../../runtime/weak-memo.js';
import type { EnvoyFilterPatch } from '../../kinds/types.js';
import type { ConfigView, Document } from '../../kinds/view.js';
import { selects } from '../../mesh/visibility.js';

/** What a patch is applied to. */
export type ApplyTo = keyof typeof SCHEMAS;

/** A part of Envoy's configuration to be changed, and how. */
export interface Patch {
  /** Names it among all: `namespace/name[index]`. */
  readonly id: string;
  readonly applyTo: ApplyTo;
  readonly operation: NonNullable<NonNullable<EnvoyFilterPatch['patch']>['operation']>;
  readonly match: NonNullable<EnvoyFilterPatch['match']>;
  /** Of the type that `applyTo` says; undefined where the operation needs none. */
  readonly value: Message | undefined;
}

/** What is merged into the file that an Envoy starts with: as JSON, for the file is made without its types. */
export interface BootstrapPatch {
  readonly id: string;
  readonly applyTo: 'BOOTSTRAP';
  readonly match: Patch['match'];
  readonly json: Readonly<Record<string, unknown>>;
}

/** Where in a mesh configuration is. */
export type PatchContext = 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND' | 'GATEWAY';

/** Whether a patch is for this part of the mesh. */
export function isInContext({ match: { context = 'ANY' } }: Patch, place: PatchContext): boolean {
  return context === 'ANY' || context === place;
}

const SCHEMAS = {
  LISTENER: listener.ListenerSchema,
  LISTENER_FILTER: listener.ListenerFilterSchema,
  FILTER_CHAIN: listener.FilterChainSchema,
  NETWORK_FILTER: listener.FilterSchema,
  HTTP_FILTER: hcm.HttpFilterSchema,
  ROUTE_CONFIGURATION: route.RouteConfigurationSchema,
  VIRTUAL_HOST: route.VirtualHostSchema,
  HTTP_ROUTE: route.RouteSchema,
  CLUSTER: cluster.ClusterSchema,
  EXTENSION_CONFIG: core.TypedExtensionConfigSchema,
} as const satisfies Record<string, DescMessage>;

/** The patches of one document, or why one can't be applied. */
export interface ReadPatches {
  readonly patches: readonly Patch[];
  readonly bootstrap: readonly BootstrapPatch[];
  readonly problems: readonly { readonly index: number; readonly message: string }[];
}

const read = new WeakMap<Document<'EnvoyFilter'>['spec'], ReadPatches>();

/** Reads the patches of a document: each as the message that it is a part of. */
export function patchesOf({ namespace, name, spec }: Document<'EnvoyFilter'>): ReadPatches {
  let known = read.get(spec);
  if (known === undefined) {
    const patches: Patch[] = [];
    const bootstrap: BootstrapPatch[] = [];
    const problems: { index: number; message: string }[] = [];
    for (const [index, one] of (spec.configPatches ?? []).entries()) {
      const found = readPatch(one, `${namespace}/${name}[${index}]`);
      if (typeof found === 'string') problems.push({ index, message: found });
      else if (found.applyTo === 'BOOTSTRAP') bootstrap.push(found);
      else patches.push(found);
    }
    known = { patches, bootstrap, problems };
    read.set(spec, known);
  }
  return known;
}

function readPatch(one: EnvoyFilterPatch, id: string): Patch | BootstrapPatch | string {
  const { applyTo = 'INVALID', match = {}, patch = {} } = one;
  if (applyTo === 'BOOTSTRAP') return readBootstrapPatch(one, id);
  if (!isApplyTo(applyTo)) return `patches of ${applyTo} are not carried out`;
  if (match.context === 'WAYPOINT') return 'there are no waypoints: every workload is its own';
  const { operation = 'INVALID', value } = patch;
  if (operation === 'INVALID') return 'a patch needs an operation';
  if (applyTo === 'EXTENSION_CONFIG' && operation !== 'ADD')
    return 'EXTENSION_CONFIG knows the operation ADD only';
  if (operation === 'REMOVE') return { id, applyTo, operation, match, value: undefined };
  if (value === undefined) return `the operation ${operation} needs a value`;
  try {
    // What was read from a document is plain JSON.
    const json = value as JsonValue;
    return {
      id,
      applyTo,
      operation,
      match,
      value: fromJson(SCHEMAS[applyTo], json, { registry: registry() }),
    };
  } catch (error) {
    return `the value can't be read as ${SCHEMAS[applyTo].typeName}: ${messageOf(error)}`;
  }
}

/** Istio: the bootstrap is merged with, and nothing else. */
function readBootstrapPatch(
  { match = {}, patch = {} }: EnvoyFilterPatch,
  id: string,
): BootstrapPatch | string {
  const { operation = 'INVALID', value } = patch;
  if (operation !== 'MERGE') return 'BOOTSTRAP knows the operation MERGE only';
  if (value === undefined) return 'the operation MERGE needs a value';
  return { id, applyTo: 'BOOTSTRAP', match, json: value };
}

function isApplyTo(name: string): name is ApplyTo {
  return Object.hasOwn(SCHEMAS, name);
}

/** Whom patches are for. */
export interface PatchSubject {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The Gateways that it carries out; undefined = it is none. */
  readonly gateways?: readonly string[] | undefined;
  readonly node: Pick<Node, 'metadata' | 'extra'>;
}

const ordered = new WeakMemo<Map<string, readonly Document<'EnvoyFilter'>[]>>();

/** The patches for a node, in the order of Istio: by priority, those of the root namespace first, then by age. */
export function patchesFor(view: ConfigView, subject: PatchSubject, rootNamespace: string): readonly Patch[] {
  if (view.list('EnvoyFilter').length === 0) return NO_PATCHES;
  return documentsFor(view, subject, rootNamespace)
    .flatMap((one) => patchesOf(one).patches)
    .filter(({ match }) => isForProxy(match.proxy, subject.node));
}

/** Those of the bootstrap, in the same order. */
export function bootstrapPatchesFor(
  view: ConfigView,
  subject: PatchSubject,
  rootNamespace: string,
): readonly BootstrapPatch[] {
  return documentsFor(view, subject, rootNamespace)
    .flatMap((one) => patchesOf(one).bootstrap)
    .filter(({ match }) => isForProxy(match.proxy, subject.node));
}

function documentsFor(
  view: ConfigView,
  subject: PatchSubject,
  rootNamespace: string,
): readonly Document<'EnvoyFilter'>[] {
  const documents = view.list('EnvoyFilter');
  const byRoot = ordered.get([documents], () => new Map());
  let all = byRoot.get(rootNamespace);
  if (all === undefined) {
    const rank = ({ namespace }: Document) => (namespace === rootNamespace ? 0 : 1);
    all = [...documents].sort(
      (a, b) => (a.spec.priority ?? 0) - (b.spec.priority ?? 0) || rank(a) - rank(b) || a.order - b.order,
    );
    byRoot.set(rootNamespace, all);
  }
  return all.filter((one) => isFor(one, subject, rootNamespace));
}

const NO_PATCHES: readonly Patch[] = [];

function isFor(
  { namespace, spec }: Document<'EnvoyFilter'>,
  subject: PatchSubject,
  rootNamespace: string,
): boolean {
  if (namespace !== subject.namespace && namespace !== rootNamespace) return false;
  const { targetRefs = [], workloadSelector } = spec;
  if (targetRefs.length === 0) return selects(workloadSelector?.labels, subject.labels);
  return targetRefs.some(({ kind, name }) => {
    if (kind !== 'Gateway') return false;
    const isNamed = subject.labels['gateway.networking.k8s.io/gateway-name'] === name;
    return isNamed || subject.gateways?.includes(`${namespace}/${name}`) === true;
  });
}

/** Istio: a node that does not say its version is of none that a pattern means. */
function isForProxy(proxy: Patch['match']['proxy'], { metadata, extra }: PatchSubject['node']): boolean {
  if (proxy === undefined) return true;
  // Nodes say more of themselves than what the model names.
  const said: Readonly<Record<string, unknown>> = { ...extra, ...metadata };
  if (proxy.proxyVersion) {
    const version = said['ISTIO_VERSION'];
    if (typeof version !== 'string' || !compileRegex(`.*(?:${proxy.proxyVersion}).*`)(version)) return false;
  }
  return Object.entries(proxy.metadata ?? {}).every(([key, value]) => said[key] === value);
}
