import { createHash } from 'node:crypto';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../codec/resource-types.js';
import { SECRET_TYPE_URL } from '../../codec/secret.js';
import type { ResourceShortName } from '../../model/resource-short-name.js';
import type { ResourceSet } from '../compile/resource-set.js';

/** A resource in the form in which it travels. */
export interface EncodedResource {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Content hash: the version of a set is made of its members'. */
  readonly hash: string;
}

/** One type of resource, as far as serving it goes. */
export interface ServedType {
  readonly typeUrl: string;
  readonly short: ResourceShortName;
  /** State of the world: a response is the complete set, so absence means removal (LDS, CDS). */
  readonly complete: boolean;
}

const SECRET: ServedType = { typeUrl: SECRET_TYPE_URL, short: 'SDS', complete: false };

/**
 * The types that are served, in the order in which a change goes out: make before break (CDS, EDS, LDS, RDS). Secrets go
 * first: clusters and listeners wait for them.
 */
export const PUSH_ORDER: readonly ServedType[] = [
  SECRET,
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
];

/** The served type of a type URL. */
export function servedType(typeUrl: string): ServedType | undefined {
  return PUSH_ORDER.find((type) => type.typeUrl === typeUrl);
}

/** Encodes each resource once, however many clients and pushes it goes out to. */
export class ResourceEncoder {
  readonly #encoded = new WeakMap<object, EncodedResource>();

  /** The encoded resource of a set, or undefined when the set does not have it. */
  get(set: ResourceSet, type: ServedType, name: string): EncodedResource | undefined {
    const { encoders } = set;
    switch (type.short) {
      case 'CDS':
        return this.#encode(name, set.clusters.get(name), encoders.cluster);
      case 'EDS':
        return this.#encode(name, set.endpoints.get(name), encoders.endpoints);
      case 'LDS': {
        const wire = set.wireListeners.get(name);
        if (wire !== undefined) return this.#encode(name, wire, ({ bytes }) => bytes);
        return this.#encode(name, set.listeners.get(name) ?? set.listenerOf(name), encoders.listener);
      }
      case 'RDS':
        return this.#encode(name, set.routes.get(name), encoders.route);
      case 'SDS':
        return this.#encode(name, set.secrets.get(name), ({ bytes }) => bytes);
    }
  }

  #encode<T extends object>(
    name: string,
    resource: T | undefined,
    encode: (resource: T) => Uint8Array,
  ): EncodedResource | undefined {
    if (resource === undefined) return undefined;
    const known = this.#encoded.get(resource);
    if (known !== undefined) return known;
    const bytes = encode(resource);
    const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
    const encoded = { name, bytes, hash };
    this.#encoded.set(resource, encoded);
    return encoded;
  }
}

/** Names that a wildcard subscription means. Inbound listeners are asked for by name only: each is for one node. */
export function wildcardNames(set: ResourceSet, type: ServedType): string[] {
  switch (type.short) {
    case 'CDS':
      return [...set.clusters.keys()];
    case 'EDS':
      return [...set.endpoints.keys()];
    case 'RDS':
      return [...set.routes.keys()];
    case 'LDS':
      return [
        ...[...set.listeners].filter(([, { kind }]) => kind !== 'inbound').map(([name]) => name),
        ...set.wireListeners.keys(),
      ];
    case 'SDS':
      // Nobody has all secrets.
      return [];
  }
}

/** The version of a response: a hash over the names and contents of its resources. */
export function versionOf(resources: readonly EncodedResource[]): string {
  const hash = createHash('sha256');
  for (const { name, hash: content } of resources) hash.update(`${name}\0${content}\0`);
  return hash.digest('base64url').slice(0, 16);
}
