import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { Node } from '../../model/node.js';
import { isEqual } from '../../runtime/equal.js';
import type { RegistrySnapshot } from '../registry/registry.js';
import type { ConfigView } from '../store/view.js';
import { SDK_ENCODERS } from './encoders.js';
import { inboundListener, inboundListenerName } from './listeners.js';
import type { MeshConfig } from './mesh-config.js';
import { compileEndpoints, compileOutline, type Outline } from './outline.js';
import { mtlsModes } from './peer-authentication.js';
import { type Profile, profileOf } from './profile.js';
import type { ResourceSet, WireResource } from './resource-set.js';

/** Profiles remembered; beyond that the one unused for longest is compiled anew. */
const MAX_PROFILES = 500;
const MAX_INBOUND = 50_000;
const NONE: ReadonlyMap<string, WireResource> = new Map();

/** Compiles on demand, and only what changed: unchanged resources keep their objects. */
export interface Compiler {
  compile(view: ConfigView, registry: RegistrySnapshot, node: Node): ResourceSet;
}

interface Compiled {
  readonly outlineKey: string;
  readonly outline: Outline;
  readonly endpointsKey: string;
  readonly endpoints: ReadonlyMap<string, ClusterLoadAssignment>;
}

interface Joined {
  readonly outbound: Outline['listeners'];
  readonly revision: number;
  readonly all: Outline['listeners'];
}

/** Creates a compiler with empty memory. */
export function createCompiler(config: MeshConfig): Compiler {
  return new MemoizingCompiler(config);
}

class MemoizingCompiler implements Compiler {
  readonly #config: MeshConfig;
  readonly #profiles = new Map<string, Compiled>();
  readonly #inbound = new Map<string, { readonly revision: number; readonly listener: Listener }>();
  readonly #joined = new WeakMap<Node, Joined>();
  #shape: { readonly registry: RegistrySnapshot; readonly key: string } | undefined;

  constructor(config: MeshConfig) {
    this.#config = config;
  }

  compile(view: ConfigView, registry: RegistrySnapshot, node: Node): ResourceSet {
    const { outline, endpoints } = this.#compiled(profileOf(node, view, this.#config), view, registry);
    const { listeners, routes, clusters } = outline;
    return {
      listeners: this.#withInbound(listeners, node, view),
      routes,
      clusters,
      endpoints,
      encoders: SDK_ENCODERS,
      wireListeners: NONE,
      secrets: NONE,
      listenerOf: () => undefined,
    };
  }

  /** The profile's listeners and the node's own; joined once, not for each message of the node. */
  #withInbound(listeners: Outline['listeners'], node: Node, view: ConfigView): Outline['listeners'] {
    const inbound = this.#inboundOf(node, view);
    if (inbound.length === 0) return listeners;
    const before = this.#joined.get(node);
    if (before?.outbound === listeners && before.revision === view.revision) return before.all;
    const all = new Map([...listeners, ...inbound]);
    this.#joined.set(node, { outbound: listeners, revision: view.revision, all });
    return all;
  }

  #compiled(profile: Profile, view: ConfigView, registry: RegistrySnapshot): Compiled {
    const input = { view, registry, config: this.#config };
    const outlineKey = `${view.revision} ${this.#shapeOf(registry)}`;
    const endpointsKey = `${view.revision} ${registry.revision}`;
    const before = this.#profiles.get(profile.key);
    if (before?.outlineKey === outlineKey && before.endpointsKey === endpointsKey) return before;
    const outline =
      before?.outlineKey === outlineKey
        ? before.outline
        : keepOutline(before?.outline, compileOutline(input, profile));
    const endpoints = keepEqual(before?.endpoints, compileEndpoints(input, outline.plans, profile.place));
    const compiled = { outlineKey, outline, endpointsKey, endpoints };
    this.#remember(profile.key, compiled);
    return compiled;
  }

  #remember(key: string, compiled: Compiled): void {
    this.#profiles.delete(key);
    this.#profiles.set(key, compiled);
    const [oldest] = this.#profiles.keys();
    if (this.#profiles.size > MAX_PROFILES && oldest !== undefined) this.#profiles.delete(oldest);
  }

  /** One for each port that the node says it serves. */
  #inboundOf(node: Node, view: ConfigView): readonly (readonly [string, Listener])[] {
    const { NAMESPACE: namespace, LABELS, INMESH_WORKLOADS = [] } = node.metadata;
    return INMESH_WORKLOADS.map((served) => {
      const name = inboundListenerName(this.#config.inboundTemplate, served);
      const labels = { app: served.service, ...LABELS };
      const key = JSON.stringify([name, namespace, labels, served.protocol]);
      const known = this.#inbound.get(key);
      if (known?.revision === view.revision) return [name, known.listener];
      const mode = mtlsModes(view, this.#config)({ namespace, labels }, served.port);
      const next = inboundListener(name, served, mode);
      const listener = known !== undefined && isEqual(known.listener, next) ? known.listener : next;
      if (this.#inbound.size >= MAX_INBOUND) this.#inbound.clear();
      this.#inbound.set(key, { revision: view.revision, listener });
      return [name, listener];
    });
  }

  /** What of the registry matters beyond addresses: which services, versions and identities there are. */
  #shapeOf(registry: RegistrySnapshot): string {
    if (this.#shape?.registry === registry) return this.#shape.key;
    const lines = registry.workloads.map((one) => {
      const { namespace, service, labels, serviceAccount, portName, port, protocol } = one;
      const number = portName === '' && protocol === '' ? 0 : port;
      return JSON.stringify([namespace, service, labels, serviceAccount, portName, number, protocol]);
    });
    const key = [...new Set(lines)].sort().join('\n');
    this.#shape = { registry, key };
    return key;
  }
}

function keepOutline(before: Outline | undefined, after: Outline): Outline {
  return {
    listeners: keepEqual(before?.listeners, after.listeners),
    routes: keepEqual(before?.routes, after.routes),
    clusters: keepEqual(before?.clusters, after.clusters),
    plans: after.plans,
  };
}

/** The new resources, but the old object wherever nothing changed: it is encoded already. */
function keepEqual<T>(
  before: ReadonlyMap<string, T> | undefined,
  after: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  if (before === undefined) return after;
  return new Map(
    [...after].map(([name, resource]) => {
      const old = before.get(name);
      return [name, old !== undefined && isEqual(old, resource) ? old : resource];
    }),
  );
}
