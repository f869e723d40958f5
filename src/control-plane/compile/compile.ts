import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { Node } from '../../model/node.js';
import { isEqual } from '../../runtime/equal.js';
import { ShardedMap } from '../../runtime/sharded-map.js';
import { withGatewayApi } from '../gateway-api/translate.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import { GRPC_ENCODERS, SDK_ENCODERS } from '../resources/encoders.js';
import type { ResourceSet, WireResource } from '../resources/resource-set.js';
import { concernedPlans } from './concerned-plans.js';
import { credentialSecrets } from './credentials.js';
import { listenerMeant } from './grpc/names.js';
import { type InboundInput, InboundListeners } from './inbound-listeners.js';
import { INLINE_KEYS, type IssuerKeys } from './issuer-keys.js';
import { meshConfigOf } from './mesh-document.js';
import { compileEndpoints, compileOutline, freshEndpoints, type OutlineInput } from './outline.js';
import { OutlineMemory } from './outline-memory.js';
import type { CompileInput, Outline } from './outlined.js';
import { PodIndex } from './pods.js';
import { type Profile, profileOf } from './profile.js';
import { RegistryShapes } from './registry-shapes.js';

/** Profiles remembered; beyond that the one unused for longest is compiled anew. */
const MAX_PROFILES = 500;
/** Other names of listeners remembered for a profile. */
const MAX_NAMES = 20_000;
const NONE: ReadonlyMap<string, WireResource> = new Map();

/** Compiles on demand, and only what changed: unchanged resources keep their objects. */
export interface Compiler {
  compile(view: ConfigView, registry: RegistrySnapshot, node: Node): ResourceSet;
}

interface Compiled {
  /** Of documents, keys and what is registered, but for addresses. */
  readonly state: string;
  readonly view: ConfigView;
  readonly outline: Outline;
  readonly memory: OutlineMemory;
  readonly registry: RegistrySnapshot;
  readonly endpoints: ShardedMap<ClusterLoadAssignment>;
  readonly secrets: ReadonlyMap<string, WireResource>;
  /** Listeners by names that clients asked for which are not their own; undefined = such a listener there is not. */
  readonly otherNames: Map<string, Listener | undefined>;
}

interface Own {
  readonly version: string;
  readonly listeners: ReadonlyMap<string, Listener>;
}

/** Who hears of what is compiled. */
export interface CompilerListeners {
  /** The configuration is compiled for one of gRPC's own clients. */
  readonly servesGrpc?: (view: ConfigView) => void;
  /** An EnvoyFilter does not change something, for this reason. */
  readonly refusesPatch?: (reason: string) => void;
  /** Keys of issuers. By default only those that documents hold. */
  readonly keys?: IssuerKeys;
  /** Secrets that documents name are taken to be somewhere; for a look at a part of a configuration. */
  readonly assumesSecrets?: boolean;
}

/** Creates a compiler with empty memory. */
export function createCompiler(config: MeshConfig, listeners: CompilerListeners = {}): Compiler {
  return new MemoizingCompiler(config, listeners);
}

class MemoizingCompiler implements Compiler {
  readonly #config: MeshConfig;
  readonly #listeners: CompilerListeners;
  readonly #profiles = new Map<string, Compiled>();
  readonly #parts: Pick<CompileInput, 'keys' | 'onRefused' | 'pods' | 'assumesSecrets'>;
  readonly #inbound: InboundListeners;
  readonly #own = new WeakMap<Node, Own>();
  readonly #shapes = new RegistryShapes();

  constructor(config: MeshConfig, listeners: CompilerListeners) {
    this.#config = config;
    this.#listeners = listeners;
    this.#parts = {
      keys: listeners.keys ?? INLINE_KEYS,
      onRefused: listeners.refusesPatch ?? (() => {}),
      pods: new PodIndex(),
      assumesSecrets: listeners.assumesSecrets ?? false,
    };
    this.#inbound = new InboundListeners({ config, ...this.#parts });
  }

  compile(given: ConfigView, registry: RegistrySnapshot, node: Node): ResourceSet {
    const view = withGatewayApi(given);
    const profile = profileOf(node, view, meshConfigOf(view, this.#config));
    const compiled = this.#compiled(profile, view, registry);
    const { outline, endpoints } = compiled;
    const { listeners, routes, clusters } = outline;
    const { wireListeners = NONE, extensions } = outline;
    const common = { routes, clusters, endpoints, wireListeners, secrets: compiled.secrets, extensions };
    const input = { view, registry, shape: this.#shapes.of(registry) };
    if (profile.generator === 'grpc') {
      this.#listeners.servesGrpc?.(given);
      const listenerOf = (name: string) =>
        this.#inbound.ofGrpcServer(name, node, input) ?? otherName(name, profile, compiled);
      return { ...common, listeners, encoders: GRPC_ENCODERS, listenerOf };
    }
    const listenerOf = (name: string) => this.#ownOf(node, input).get(name);
    return { ...common, listeners, encoders: SDK_ENCODERS, listenerOf };
  }

  /** What the node serves; compiled once for a revision, not for each message of the node. */
  #ownOf(node: Node, input: InboundInput): ReadonlyMap<string, Listener> {
    const before = this.#own.get(node);
    const version = this.#inbound.version(input);
    if (before?.version === version) return before.listeners;
    const listeners = new Map(this.#inbound.of(node, input));
    this.#own.set(node, { version, listeners });
    return listeners;
  }

  #compiled(profile: Profile, view: ConfigView, registry: RegistrySnapshot): Compiled {
    const { keys } = this.#parts;
    const config = meshConfigOf(view, this.#config);
    const input = { ...this.#parts, view, registry, config, profile };
    const shape = this.#shapes.of(registry);
    const state = `${view.revision} ${keys.revision} ${shape}`;
    const before = this.#profiles.get(profile.key);
    const isCurrent = before?.state === state && before.view === view;
    if (isCurrent && before.registry.services === registry.services) return before;
    const memory = before?.memory ?? new OutlineMemory();
    // What is thrown in the middle leaves the memory ahead of what was compiled.
    this.#profiles.delete(profile.key);
    const basis = { config, profile, shape, keys: keys.revision };
    const isSame = before !== undefined && (isCurrent || memory.holds(view, basis));
    const outline = isSame
      ? before.outline
      : keepOutline(before?.outline, compileOutline(input, basis, memory));
    // Where clusters, and documents about endpoints, are the same, what registered decides alone.
    const canChange =
      before !== undefined &&
      outline.plans === before.outline.plans &&
      outline.ownEndpoints === before.outline.ownEndpoints &&
      memory.endpointsHold(view);
    const endpoints = canChange
      ? changeEndpoints(before, input)
      : keepEndpoints(before, outline, compileEndpoints(input, outline.plans, memory));
    const otherNames = isSame ? before.otherNames : new Map<string, Listener | undefined>();
    // Bytes of the same content are equal.
    const secrets = isCurrent
      ? before.secrets
      : keepEqual(before?.secrets, credentialSecrets(view, profile, outline.clusters));
    const compiled = { state, view, outline, registry, endpoints, secrets, otherNames, memory };
    this.#remember(profile.key, compiled);
    return compiled;
  }

  #remember(key: string, compiled: Compiled): void {
    this.#profiles.delete(key);
    this.#profiles.set(key, compiled);
    const [oldest] = this.#profiles.keys();
    if (this.#profiles.size > MAX_PROFILES && oldest !== undefined) this.#profiles.delete(oldest);
  }
}

/** The endpoints after workloads came and went, where no service, version or identity did. */
function changeEndpoints(
  { registry: then, outline, endpoints }: Compiled,
  input: OutlineInput,
): ShardedMap<ClusterLoadAssignment> {
  const changes = [...then.services.changesTo(input.registry.services)];
  const changed = changes.flatMap(([, before, after]) => [before, after]).filter((one) => one !== undefined);
  if (changed.length === 0) return endpoints;
  const anew = freshEndpoints(input, concernedPlans(outline.plans, changed));
  const different = [...anew].filter(([name, one]) => !isEqual(endpoints.get(name), one));
  return different.length === 0 ? endpoints : endpoints.with(different);
}

/** The endpoints of all clusters, and those that no instance decides; the old object wherever nothing changed. */
function keepEndpoints(
  last: Compiled | undefined,
  { ownEndpoints = NO_ENDPOINTS }: Outline,
  compiled: ReadonlyMap<string, ClusterLoadAssignment>,
): ShardedMap<ClusterLoadAssignment> {
  const before = last?.endpoints;
  const own = [...ownEndpoints].filter(([name]) => !compiled.has(name));
  if (before === undefined) return ShardedMap.from([...compiled, ...own]);
  const changes = new Map<string, ClusterLoadAssignment | undefined>();
  for (const name of before.keys()) {
    if (!compiled.has(name) && !ownEndpoints.has(name)) changes.set(name, undefined);
  }
  for (const [name, one] of [...own, ...compiled]) {
    const old = before.get(name);
    if (old !== one && !isEqual(old, one)) changes.set(name, one);
  }
  return changes.size === 0 ? before : before.with(changes);
}

const NO_ENDPOINTS: ReadonlyMap<string, ClusterLoadAssignment> = new Map();

function keepOutline(before: Outline | undefined, after: Outline): Outline {
  return {
    listeners: keepEqual(before?.listeners, after.listeners),
    routes: keepEqual(before?.routes, after.routes),
    clusters: keepEqual(before?.clusters, after.clusters),
    plans: after.plans,
    ownEndpoints: after.ownEndpoints,
    wireListeners: after.wireListeners && keepEqual(before?.wireListeners, after.wireListeners),
    extensions: after.extensions && keepEqual(before?.extensions, after.extensions),
  };
}

/** A listener under another name than its own: clients look for the name that they asked for. */
function otherName(
  name: string,
  { namespace }: Profile,
  { outline, otherNames }: Compiled,
): Listener | undefined {
  if (otherNames.has(name)) return otherNames.get(name);
  const meant = outline.listeners.get(listenerMeant(name, namespace, outline.listeners) ?? '');
  const listener = meant && { ...meant, name };
  if (otherNames.size >= MAX_NAMES) otherNames.clear();
  otherNames.set(name, listener);
  return listener;
}

/**
 * The new resources, but the old object wherever nothing changed: it is encoded already. The old map when nothing
 * changed at all.
 */
function keepEqual<T>(
  before: ReadonlyMap<string, T> | undefined,
  after: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  if (before === undefined || before === after) return after;
  if (before instanceof ShardedMap && after instanceof ShardedMap) return keepShared<T>(before, after);
  let isSame = before.size === after.size;
  const kept: [string, T][] = [];
  for (const [name, resource] of after) {
    const old = before.get(name);
    if (old === resource) continue;
    if (old !== undefined && isEqual(old, resource)) kept.push([name, old]);
    else isSame = false;
  }
  if (isSame) return before;
  return kept.length === 0 ? after : new Map([...after, ...kept]);
}

function keepShared<T>(before: ShardedMap<T>, after: ShardedMap<T>): ShardedMap<T> {
  const different: [string, T | undefined][] = [];
  for (const [name, old, resource] of before.changesTo(after)) {
    if (old === undefined || resource === undefined || !isEqual(old, resource))
      different.push([name, resource]);
  }
  return different.length === 0 ? before : before.with(different);
}
