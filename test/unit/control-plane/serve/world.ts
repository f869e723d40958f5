import { RESOURCE_TYPES } from '../../../../src/codec/resource-types.js';
import { SDK_ENCODERS } from '../../../../src/control-plane/resources/encoders.js';
import type { ResourceSet } from '../../../../src/control-plane/resources/resource-set.js';
import type { ClientSession, PublishedState } from '../../../../src/control-plane/serve/client-session.js';
import type { SharedTables } from '../../../../src/control-plane/serve/conversation.js';
import { InterestTable } from '../../../../src/control-plane/serve/interest.js';
import { NameListTable } from '../../../../src/control-plane/serve/name-list.js';
import {
  ResourceEncoder,
  SERVED_TYPES,
  type ServedType,
} from '../../../../src/control-plane/serve/resources.js';
import { SnapshotTable } from '../../../../src/control-plane/serve/type-snapshot.js';
import type { Cluster } from '../../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../../src/model/endpoint.js';
import type { Listener } from '../../../../src/model/listener.js';
import type { Node } from '../../../../src/model/node.js';
import type { RouteConfiguration } from '../../../../src/model/route.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

export const [, CDS, EDS, LDS, RDS] = SERVED_TYPES as readonly [
  ServedType,
  ServedType,
  ServedType,
  ServedType,
  ServedType,
];

/** What a server has, and the sessions that it serves. */
export class World {
  readonly tables: SharedTables = {
    snapshots: new SnapshotTable(new ResourceEncoder()),
    interests: new InterestTable(),
    nameLists: new NameListTable(),
  };
  readonly clock = createFakeClock();
  readonly sessions = new Set<ClientSession>();
  clusters: ReadonlyMap<string, Cluster> = new Map();
  endpoints: ReadonlyMap<string, ClusterLoadAssignment> = new Map();
  listeners: ReadonlyMap<string, Listener> = new Map();
  routes: ReadonlyMap<string, RouteConfiguration> = new Map();
  /** What only who asks by name gets. */
  listenerOf: (node: Node, name: string) => Listener | undefined = () => undefined;
  readonly #bad = new Set<string>();
  published: PublishedState = this.#state(0);

  /** Everybody gets a turn with what there is now. */
  publish(): void {
    this.published = this.#state(this.published.revision + 1);
    for (const session of this.sessions) session.push();
  }

  /** Clients refuse this resource from now on. */
  spoil(type: ServedType, resource: object): void {
    this.#bad.add(Buffer.from(type.encode(resource, SDK_ENCODERS)).toString('base64'));
  }

  isBad(value: string): boolean {
    return this.#bad.has(value);
  }

  nameOf(type: ServedType, bytes: Uint8Array): string {
    return RESOURCE_TYPES.find(({ typeUrl }) => typeUrl === type.typeUrl)?.decode(bytes).name ?? '';
  }

  /** What a client should hold of a name. */
  expected(type: ServedType, name: string): string | undefined {
    const resource = type.resources(this.set()).get(name);
    return resource === undefined
      ? undefined
      : Buffer.from(type.encode(resource, SDK_ENCODERS)).toString('base64');
  }

  set(node?: Node): ResourceSet {
    const { clusters, endpoints, listeners, routes } = this;
    return {
      clusters,
      endpoints,
      listeners,
      routes,
      wireListeners: NONE,
      secrets: NONE,
      encoders: SDK_ENCODERS,
      listenerOf: (name) => (node === undefined ? undefined : this.listenerOf(node, name)),
    };
  }

  #state(revision: number): PublishedState {
    const shared = this.set();
    return {
      revision,
      resourcesFor: (node) => ({ ...shared, listenerOf: (name) => this.listenerOf(node, name) }),
    };
  }
}

const NONE: ReadonlyMap<string, never> = new Map<string, never>();

/** The map with one entry changed. */
export function withEntry<T>(
  map: ReadonlyMap<string, T>,
  name: string,
  value: T | undefined,
): Map<string, T> {
  const next = new Map(map);
  if (value === undefined) next.delete(name);
  else next.set(name, value);
  return next;
}
