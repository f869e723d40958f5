import { FILTER_EXTENSION } from '../codec/filter-extension.js';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION } from '../codec/resource-types.js';
import { RUNTIME } from '../codec/runtime.js';
import { SECRET } from '../codec/secret.js';
import { VIRTUAL_HOST } from '../codec/virtual-host.js';
import type { VirtualHost } from '../model/route.js';
import type { Authorities } from './authorities.js';
import type { Found } from './found.js';
import type { DecodableType } from './protocol.js';
import type { ResourceView } from './resolution.js';
import { canonicalName, namespaceOf } from './resource-name.js';
import type { ResourceStore } from './store.js';

/** What is known of every resource; `isFirst`: nothing of a control plane is published yet. */
export function storeView(store: ResourceStore, authorities: Authorities, isFirst: boolean): ResourceView {
  const find = <T extends object>(type: DecodableType<T>, spelled: string): Found<T> => {
    const name = canonicalName(spelled);
    const authority = authorities.of(name);
    // Nobody answers for it, ever.
    if (authority === undefined) return 'refused';
    // A configuration need not wait for an authority that is away, unless there is no other.
    const isMissed = isFirst && !authorities.isSingle && authority.isDown;
    const found = store.find(type, name, isFirst && !isMissed);
    return found === 'pending' && isMissed ? 'refused' : found;
  };
  let hosts: ReadonlyMap<string, readonly VirtualHost[]> | undefined;
  return {
    listener: (name) => find(LISTENER, name),
    routes: (name) => find(ROUTE_CONFIGURATION, name),
    virtualHosts(table) {
      hosts ??= hostsByTable(store);
      return {
        hosts: hosts.get(canonicalName(table)) ?? [],
        isPending: find(VIRTUAL_HOST, table) === 'pending',
      };
    },
    cluster: (name) => find(CLUSTER, name),
    assignment: (name) => find(CLUSTER_LOAD_ASSIGNMENT, name),
    extension: (name) => find(FILTER_EXTENSION, name),
    runtime: (name) => find(RUNTIME, name),
    secret: (name) => {
      const found = find(SECRET, name);
      return typeof found === 'object' ? found.secret : found;
    },
  };
}

/** The virtual hosts that are held, by their table, in the order of their names (Envoy). */
function hostsByTable(store: ResourceStore): ReadonlyMap<string, readonly VirtualHost[]> {
  const tables = new Map<string, VirtualHost[]>();
  for (const name of [...store.names(VIRTUAL_HOST.typeUrl)].sort()) {
    const host = store.find(VIRTUAL_HOST, name);
    if (typeof host !== 'object') continue;
    const table = namespaceOf(name);
    const own = tables.get(table);
    if (own === undefined) tables.set(table, [host]);
    else own.push(host);
  }
  return tables;
}
