import { createHash } from 'node:crypto';
import { FILTER_EXTENSION } from '../../codec/filter-extension.js';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../codec/resource-types.js';
import { RUNTIME } from '../../codec/runtime.js';
import { SECRET_TYPE_URL } from '../../codec/secret.js';
import type { Listener } from '../../model/listener.js';
import type { ResourceShortName } from '../../model/resource-short-name.js';
import type { RuntimeLayer } from '../../model/runtime.js';
import { messageOf } from '../../runtime/errors.js';
import type { ResourceEncoders, ResourceSet, WireResource } from '../resources/resource-set.js';
import type { EncodedResource, Framing } from './encoded-resource.js';
import { type FramingOptions, framingOf } from './wire.js';

type Resources = ReadonlyMap<string, object>;

/** One type of resource, as far as serving it goes. */
export interface ServedType {
  readonly typeUrl: string;
  readonly short: ResourceShortName;
  /** State of the world: a response is the complete set, so absence means removal (LDS, CDS). */
  readonly complete: boolean;
  /** Whether anybody may have everything. */
  readonly hasWildcard: boolean;
  /** `referrer`: it names clusters or routes, so it changes after them; `target`: it is what others name. */
  readonly role: 'target' | 'referrer';
  /** What there is; shared by the nodes of a profile. */
  readonly resources: (set: ResourceSet) => Resources;
  /** What only those receive who ask for its name. */
  readonly onDemand: (set: ResourceSet, name: string) => object | undefined;
  readonly encode: (resource: object, encoders: ResourceEncoders) => Uint8Array;
  /** How resources of it travel; the same function for the same options. */
  readonly framing: (options: FramingOptions) => Framing;
}

interface Definition<T extends object> {
  readonly role: ServedType['role'];
  readonly hasWildcard?: boolean;
  readonly resources: (set: ResourceSet) => ReadonlyMap<string, T>;
  readonly onDemand?: (set: ResourceSet, name: string) => T | undefined;
  readonly encode: (resource: T, encoders: ResourceEncoders) => Uint8Array;
}

function served<T extends object>(
  { typeUrl, short, complete }: Pick<ServedType, 'typeUrl' | 'short' | 'complete'>,
  { role, hasWildcard = true, resources, onDemand = () => undefined, encode }: Definition<T>,
): ServedType {
  return {
    typeUrl,
    short,
    complete,
    hasWildcard,
    role,
    resources,
    onDemand,
    // What it is given comes out of `resources` or `onDemand`.
    encode: (resource, encoders) => encode(resource as T, encoders),
    framing: framings(typeUrl),
  };
}

function framings(typeUrl: string): ServedType['framing'] {
  const known = new Map<string, Framing>();
  return (options) => {
    const key = `${options.protocol} ${options.ttlMs} ${options.isHeartbeat}`;
    const framing = known.get(key) ?? framingOf(typeUrl, options);
    known.set(key, framing);
    return framing;
  };
}

const SECRET = { typeUrl: SECRET_TYPE_URL, short: 'SDS', complete: false } as const;

/**
 * The types that are served, in the order in which a change goes out: make before break (CDS, EDS, LDS, RDS). Secrets go
 * first: clusters and listeners wait for them.
 */
export const SERVED_TYPES: readonly ServedType[] = [
  served(SECRET, {
    role: 'target',
    // Nobody has all secrets.
    hasWildcard: false,
    resources: (set) => set.secrets,
    encode: ({ bytes }) => bytes,
  }),
  served(CLUSTER, {
    role: 'target',
    resources: (set) => set.clusters,
    encode: (one, { cluster }) => cluster(one),
  }),
  served(CLUSTER_LOAD_ASSIGNMENT, {
    role: 'target',
    resources: (set) => set.endpoints,
    encode: (one, { endpoints }) => endpoints(one),
  }),
  served<Listener | WireResource>(LISTENER, {
    role: 'referrer',
    resources: allListeners,
    onDemand: (set, name) => set.listenerOf(name),
    encode: (one, { listener }) => ('bytes' in one ? one.bytes : listener(one)),
  }),
  served(ROUTE_CONFIGURATION, {
    role: 'referrer',
    resources: (set) => set.routes,
    encode: (one, { route }) => route(one),
  }),
  served(RUNTIME, {
    role: 'target',
    // Nobody asks for all layers: they are put upon each other in the client's order.
    hasWildcard: false,
    resources: (set) => set.runtimes ?? NO_LAYERS,
    encode: (one) => RUNTIME.encode(one),
  }),
  served(FILTER_EXTENSION, {
    role: 'target',
    // Listeners name them.
    hasWildcard: false,
    resources: (set) => set.extensions ?? NO_EXTENSIONS,
    encode: ({ bytes }) => bytes,
  }),
];

const NO_EXTENSIONS: ReadonlyMap<string, WireResource> = new Map();

const NO_LAYERS: ReadonlyMap<string, RuntimeLayer> = new Map();

const joined = new WeakMap<Resources, { readonly wire: Resources; readonly all: Resources }>();

/** Both kinds of listeners in one map, which stays the same while they do. */
function allListeners({
  listeners,
  wireListeners,
}: ResourceSet): ReadonlyMap<string, Listener | WireResource> {
  if (wireListeners.size === 0) return listeners;
  if (listeners.size === 0) return wireListeners;
  const known = joined.get(listeners);
  // What is known under a pair of maps was made of them.
  if (known?.wire === wireListeners) return known.all as ReadonlyMap<string, Listener | WireResource>;
  const all = new Map<string, Listener | WireResource>([...listeners, ...wireListeners]);
  joined.set(listeners, { wire: wireListeners, all });
  return all;
}

/** The served type of a type URL. */
export function servedType(typeUrl: string): ServedType | undefined {
  return SERVED_TYPES.find((type) => type.typeUrl === typeUrl);
}

/** A resource that can not be put on the wire, and why. */
export interface BrokenResource {
  readonly name: string;
  readonly broken: string;
}

/** Encodes each resource once for each class of clients, however many clients and pushes it goes out to. */
export class ResourceEncoder {
  readonly #encoded = new WeakMap<ResourceEncoders, WeakMap<object, EncodedResource | BrokenResource>>();
  readonly #onBroken: (type: ServedType, resource: BrokenResource) => void;

  /** `onBroken` hears of each broken resource once. */
  constructor(onBroken: (type: ServedType, resource: BrokenResource) => void = () => {}) {
    this.#onBroken = onBroken;
  }

  encode(
    type: ServedType,
    name: string,
    resource: object,
    encoders: ResourceEncoders,
  ): EncodedResource | BrokenResource {
    let known = this.#encoded.get(encoders);
    if (known === undefined) {
      known = new WeakMap();
      this.#encoded.set(encoders, known);
    }
    const before = known.get(resource);
    if (before !== undefined) return before;
    const encoded = encodeOne(type, name, resource, encoders);
    known.set(resource, encoded);
    if ('broken' in encoded) this.#onBroken(type, encoded);
    return encoded;
  }
}

/** One that can not be encoded must not keep clients from all others. */
function encodeOne(
  type: ServedType,
  name: string,
  resource: object,
  encoders: ResourceEncoders,
): EncodedResource | BrokenResource {
  try {
    const bytes = type.encode(resource, encoders);
    const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
    return { name, bytes, hash };
  } catch (error) {
    return { name, broken: messageOf(error) };
  }
}

/** The version of a set: a hash over the names and contents of its resources. */
export function versionOf(resources: Iterable<Pick<EncodedResource, 'name' | 'hash'>>): string {
  const hash = createHash('sha256');
  for (const { name, hash: content } of resources) hash.update(`${name}\0${content}\0`);
  return hash.digest('base64url').slice(0, 16);
}
