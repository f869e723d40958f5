import type { Listener } from '../../model/listener.js';
import type { Node } from '../../model/node.js';
import { isEqual } from '../../runtime/equal.js';
import { RecentlyUsed } from '../../runtime/recently-used.js';
import { runSteps, type Steps } from '../../runtime/steps.js';
import { withGatewayApi } from '../gateway-api/translate.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { ResourceSet, WireResource } from '../resources/resource-set.js';
import { commonProfileOf } from './common-profile.js';
import { type Common, CommonResources } from './common-resources.js';
import { credentialSecrets } from './credentials.js';
import { InboundMemory } from './envoy/inbound-memory.js';
import { listenerMeant } from './grpc/names.js';
import { type InboundInput, InboundListeners } from './inbound-listeners.js';
import { INLINE_KEYS, type IssuerKeys } from './issuer-keys.js';
import { meshConfigOf } from './mesh-document.js';
import type { CompileInput, Outline, OwnInput } from './outlined.js';
import { ENCODERS, OwnOutlines } from './own-outline.js';
import { PodIndex } from './pods.js';
import { besideApplication, type Profile, profileOf } from './profile.js';
import { RegistryShapes } from './registry-shapes.js';

/** Profiles remembered; beyond that the one unused for longest is compiled anew. */
const MAX_PROFILES = 500;
/** Other names of listeners remembered for a profile. */
const MAX_NAMES = 20_000;
const NONE: ReadonlyMap<string, WireResource> = new Map();

/** Compiles on demand, and only what changed: unchanged resources keep their objects. */
export interface Compiler {
  compile(view: ConfigView, registry: RegistrySnapshot, node: Node): ResourceSet;
  /** The same with pauses, each a few milliseconds after the one before. It may be left in one. */
  steps(view: ConfigView, registry: RegistrySnapshot, node: Node): Steps<ResourceSet>;
}

/** What one profile receives. */
class ProfileResources {
  readonly #own: OwnOutlines;
  #secrets: ReadonlyMap<string, WireResource> | undefined;
  /** Listeners by names that clients asked for which are not their own; undefined = such a listener there is not. */
  #otherNames = new WeakMap<Outline['listeners'], Map<string, Listener | undefined>>();

  constructor(profile: Profile) {
    this.#own = new OwnOutlines(profile);
  }

  *at({ outline: common, endpoints }: Common, input: OwnInput): Steps<ProfileSet> {
    const outline = yield* this.#own.of(common, input);
    // Bytes of the same content are equal.
    this.#secrets = keepEqual(this.#secrets, credentialSecrets(input.view, input.profile, outline.clusters));
    return { outline, endpoints, secrets: this.#secrets };
  }

  /** A listener under another name than its own: clients look for the name that they asked for. */
  otherName(name: string, { namespace }: Profile, { listeners }: Outline): Listener | undefined {
    let known = this.#otherNames.get(listeners);
    if (known === undefined || known.size >= MAX_NAMES) {
      known = new Map();
      this.#otherNames.set(listeners, known);
    }
    if (known.has(name)) return known.get(name);
    const meant = listeners.get(listenerMeant(name, namespace, listeners) ?? '');
    const listener = meant && { ...meant, name };
    known.set(name, listener);
    return listener;
  }
}

interface ProfileSet {
  readonly outline: Outline;
  readonly endpoints: Common['endpoints'];
  readonly secrets: ReadonlyMap<string, WireResource>;
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
  /** By the keys of common profiles. */
  readonly #common = new RecentlyUsed<CommonResources>(MAX_PROFILES);
  readonly #profiles = new RecentlyUsed<ProfileResources>(MAX_PROFILES);
  readonly #parts: Pick<CompileInput, 'keys' | 'onRefused' | 'pods' | 'assumesSecrets'>;
  readonly #inbound: InboundListeners;
  readonly #beside = new InboundMemory();
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

  compile(view: ConfigView, registry: RegistrySnapshot, node: Node): ResourceSet {
    return runSteps(this.steps(view, registry, node));
  }

  *steps(given: ConfigView, registry: RegistrySnapshot, node: Node): Steps<ResourceSet> {
    const view = withGatewayApi(given);
    const config = meshConfigOf(view, this.#config);
    const profile = profileOf(node, view, config);
    const input = { ...this.#parts, view, registry, config, shape: this.#shapes.of(registry) };
    const resources = this.#profiles.get(profile.key, () => new ProfileResources(profile));
    const { outline, endpoints, secrets } = yield* this.#compiled(resources, { ...input, profile });
    const { listeners, routes, clusters, wireListeners = NONE, extensions } = outline;
    const encoders = ENCODERS[profile.generator];
    const common = { routes, clusters, endpoints, wireListeners, secrets, extensions, encoders };
    if (profile.generator === 'grpc') {
      this.#listeners.servesGrpc?.(given);
      const listenerOf = (name: string) =>
        this.#inbound.ofGrpcServer(name, node, input) ?? resources.otherName(name, profile, outline);
      return { ...common, listeners, listenerOf };
    }
    const listenerOf = (name: string) => this.#ownOf(node, input).get(name);
    const beside = besideApplication(node, profile);
    if (beside !== undefined) {
      const config = meshConfigOf(view, this.#config);
      const both = this.#beside.with(view, beside, { ...this.#parts, ...input, config, outline });
      return { ...common, ...both, listeners, listenerOf };
    }
    return { ...common, listeners, listenerOf };
  }

  *#compiled(resources: ProfileResources, input: OwnInput): Steps<ProfileSet> {
    const { profile, view, shape } = input;
    const commonProfile = commonProfileOf(profile, view);
    const { key } = commonProfile;
    try {
      const shared = this.#common.get(key, () => new CommonResources());
      const common = yield* shared.at({ ...input, profile: commonProfile }, shape);
      return yield* resources.at(common, input);
    } catch (error) {
      // What was thrown in the middle may have left its memory ahead of what was compiled.
      this.#common.delete(key);
      this.#profiles.delete(profile.key);
      throw error;
    }
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
