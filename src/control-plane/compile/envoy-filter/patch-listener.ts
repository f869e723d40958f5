import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { packAny, unpackAny } from '../../../proto/any.js';
import { httpConnectionManager as hcm, listener, route } from '../../../proto/xds.js';
import { listsOf, merges, patchList } from './list-patches.js';
import { mergeAny, mergeMessage } from './merge-message.js';
import { cloned, merged } from './message-value.js';
import { patchRoutes } from './patch-routes.js';
import { type ApplyTo, isInContext, type Patch, type PatchContext } from './patches.js';
import { tablePlace } from './places.js';

const HCM = 'envoy.filters.network.http_connection_manager';
/** Istio's name of the listener that captured connections to an application come to. */
const VIRTUAL_INBOUND = 'virtualInbound';

/** What is known of a listener besides what is in it. */
export interface ListenerPlace {
  readonly context: PatchContext;
  /** Of the service or the gateway's server; for what a workload serves its own. 0 = none. */
  readonly port: number;
  /** Whether tables within it are patched, too: those of Envoys. Default false. */
  readonly hasTables?: boolean;
}

type Listener = listener.Listener;
type FilterChain = listener.FilterChain;

/** A listener with its patches; undefined when one removes it (Istio: patchListener). */
export function patchListener(
  bytes: Uint8Array,
  patches: readonly Patch[],
  place: ListenerPlace,
): Uint8Array | undefined {
  const message = fromBinary(listener.ListenerSchema, bytes);
  // Where connections to all ports come to, a port is that of a chain (Istio).
  const here = message.name === VIRTUAL_INBOUND ? patches.map(forChainOfPort) : patches;
  const own = here.filter((patch) => isConcerned(patch, message.name, place));
  if (own.length === 0) return bytes;
  let changed = message;
  for (const patch of of('LISTENER', own)) {
    if (patch.operation === 'REMOVE') return undefined;
    if (merges(patch)) changed = merged(listener.ListenerSchema, changed, patch);
  }
  changed.listenerFilters = patchList(changed.listenerFilters, of('LISTENER_FILTER', own), {
    namesItem: ({ match }) => !!match.listener?.listenerFilter,
    isIt: ({ name }, { match }) => name === match.listener?.listenerFilter,
    itemOf: ({ value }) => cloned(listener.ListenerFilterSchema, value),
  });
  patchChains(changed, own);
  if (place.hasTables === true) patchTables(changed, own, place);
  patchApiListener(changed, own);
  return toBinary(listener.ListenerSchema, changed);
}

/** Listeners that patches bring. Istio: one for any context is for callers and gateways. */
export function addedListeners(patches: readonly Patch[], context: PatchContext): readonly Listener[] {
  const isHere = (patch: Patch) =>
    context === 'SIDECAR_INBOUND' ? patch.match.context === context : isInContext(patch, context);
  return of('LISTENER', patches)
    .filter((one) => one.operation === 'ADD' && isHere(one))
    .flatMap(({ value }) => cloned(listener.ListenerSchema, value) ?? []);
}

function of(applyTo: ApplyTo, patches: readonly Patch[]): readonly Patch[] {
  return patches.filter((one) => one.applyTo === applyTo);
}

/** A port that chains are told apart by. */
function forChainOfPort(patch: Patch): Patch {
  const { portNumber, ...wanted } = patch.match.listener ?? {};
  if (!portNumber) return patch;
  const filterChain = { ...wanted.filterChain, destinationPort: portNumber };
  return { ...patch, match: { ...patch.match, listener: { ...wanted, filterChain } } };
}

/** Whether a patch is about something in a listener. */
export function isConcerned(patch: Patch, name: string, { context, port }: ListenerPlace): boolean {
  if (!isInContext(patch, context)) return false;
  const { match } = patch;
  const wanted = match.listener;
  if (wanted === undefined) return true;
  // Istio's names of the listeners that all connections come to.
  const names = [
    name,
    `0.0.0.0_${port}`,
    context === 'SIDECAR_INBOUND' ? VIRTUAL_INBOUND : 'virtualOutbound',
  ];
  if (wanted.name && !names.includes(wanted.name)) return false;
  return !wanted.portNumber || wanted.portNumber === port;
}

function patchChains(message: Listener, own: readonly Patch[]): void {
  const chains = message.filterChains.flatMap((chain) => patchChain(chain, own) ?? []);
  for (const { operation, value } of of('FILTER_CHAIN', own)) {
    const added = operation === 'ADD' ? cloned(listener.FilterChainSchema, value) : undefined;
    if (added !== undefined) chains.push(added);
  }
  message.filterChains = chains;
  if (message.defaultFilterChain !== undefined) {
    const chain = patchChain(message.defaultFilterChain, own);
    if (chain === undefined) delete message.defaultFilterChain;
    else message.defaultFilterChain = chain;
  }
}

function patchChain(chain: FilterChain, own: readonly Patch[]): FilterChain | undefined {
  const here = own.filter((patch) => isForChain(patch, chain));
  let changed = chain;
  for (const patch of of('FILTER_CHAIN', here)) {
    if (patch.operation === 'REMOVE') return undefined;
    if (merges(patch)) changed = mergeChain(changed, patch);
  }
  changed.filters = patchList(changed.filters, of('NETWORK_FILTER', here), {
    namesItem: ({ match }) => match.listener?.filterChain?.filter !== undefined,
    isIt: isForFilter,
    itemOf: ({ value }) => cloned(listener.FilterSchema, value),
  }).map((filter) => patchFilter(filter, here));
  return changed;
}

/** Istio: TLS of the same kind is merged inside, so that what is packed keeps what the patch does not say. */
function mergeChain(chain: FilterChain, patch: Patch): FilterChain {
  const wanted = cloned(listener.FilterChainSchema, patch.value);
  const socket = chain.transportSocket;
  const own = wanted?.transportSocket;
  if (wanted === undefined) return chain;
  if (own === undefined || socket === undefined || own.name !== socket.name) {
    return mergeMessage(listener.FilterChainSchema, chain, wanted, listsOf(patch));
  }
  if (socket.configType.case === 'typedConfig' && own.configType.case === 'typedConfig') {
    socket.configType = {
      case: 'typedConfig',
      value: mergeAny(socket.configType.value, own.configType.value, listsOf(patch)),
    };
  }
  return chain;
}

function isForChain({ match }: Patch, { name, filterChainMatch }: FilterChain): boolean {
  const wanted = match.listener?.filterChain;
  if (wanted === undefined) return true;
  const { serverNames = [], transportProtocol = '', applicationProtocols = [] } = filterChainMatch ?? {};
  return (
    (!wanted.name || wanted.name === name) &&
    (!wanted.sni || serverNames.includes(wanted.sni)) &&
    (!wanted.transportProtocol || wanted.transportProtocol === transportProtocol) &&
    (wanted.applicationProtocols ?? '')
      .split(',')
      .every((one) => one === '' || applicationProtocols.includes(one)) &&
    (!wanted.destinationPort || filterChainMatch?.destinationPort === wanted.destinationPort)
  );
}

function isForFilter({ name }: { readonly name: string }, { match }: Patch): boolean {
  const wanted = match.listener?.filterChain?.filter;
  return wanted === undefined || wanted.name === name;
}

function patchFilter(filter: listener.Filter, here: readonly Patch[]): listener.Filter {
  let changed = filter;
  for (const patch of of('NETWORK_FILTER', here)) {
    if (!merges(patch) || !isForFilter(changed, patch)) continue;
    const wanted = cloned(listener.FilterSchema, patch.value);
    if (wanted !== undefined) changed = mergeFilter(changed, wanted, patch);
  }
  if (changed.name !== HCM || changed.configType.case !== 'typedConfig') return changed;
  changed.configType.value = patchManager(changed.configType.value, here);
  return changed;
}

interface Configured {
  name: string;
  configType: { readonly case: 'typedConfig'; readonly value: Any } | { readonly case: string | undefined };
}

/** Istio: the name may change, and the configuration is merged within its type. */
function mergeFilter<T extends Configured>(filter: T, wanted: Configured, patch: Patch): T {
  const { configType } = filter;
  if (configType.case !== 'typedConfig' || !('value' in configType)) return filter;
  const own = wanted.configType;
  const value =
    own.case === 'typedConfig' && 'value' in own
      ? mergeAny(configType.value, own.value, listsOf(patch))
      : configType.value;
  return { ...filter, name: wanted.name || filter.name, configType: { case: 'typedConfig', value } };
}

function patchManager(any: Any, here: readonly Patch[]): Any {
  const patches = of('HTTP_FILTER', here).filter((patch) => isForFilter({ name: HCM }, patch));
  const manager = patches.length === 0 ? undefined : unpackAny(hcm.HttpConnectionManagerSchema, any);
  if (manager === undefined) return any;
  const isIt = ({ name }: { readonly name: string }, { match }: Patch) => {
    const wanted = match.listener?.filterChain?.filter?.subFilter;
    return wanted === undefined || wanted.name === name;
  };
  manager.httpFilters = patchList(manager.httpFilters, patches, {
    namesItem: ({ match }) => match.listener?.filterChain?.filter?.subFilter !== undefined,
    isIt,
    itemOf: ({ value }) => cloned(hcm.HttpFilterSchema, value),
  }).map((filter) => {
    let changed = filter;
    for (const patch of patches) {
      const wanted =
        merges(patch) && isIt(changed, patch) ? cloned(hcm.HttpFilterSchema, patch.value) : undefined;
      if (wanted !== undefined) changed = mergeFilter(changed, wanted, patch);
    }
    return changed;
  });
  return packAny(hcm.HttpConnectionManagerSchema, manager);
}

/** Istio: tables of the ports of an application stand in their listener. */
function patchTables(message: Listener, own: readonly Patch[], { context }: ListenerPlace): void {
  for (const { configType } of message.filterChains.flatMap(({ filters }) => filters)) {
    if (configType.case !== 'typedConfig') continue;
    const manager = unpackAny(hcm.HttpConnectionManagerSchema, configType.value);
    if (manager?.routeSpecifier.case !== 'routeConfig') continue;
    const table = manager.routeSpecifier.value;
    const before = toBinary(route.RouteConfigurationSchema, table);
    const after = patchRoutes(before, own, tablePlace(table.name, context));
    if (after === before) continue;
    manager.routeSpecifier.value = fromBinary(route.RouteConfigurationSchema, after);
    configType.value = packAny(hcm.HttpConnectionManagerSchema, manager);
  }
}

/** What callers in the process have is a chain without a name, of the connection manager alone. */
function patchApiListener(message: Listener, own: readonly Patch[]): void {
  const any = message.apiListener?.apiListener;
  if (any === undefined) return;
  const empty = create(listener.FilterChainSchema);
  const here = own.filter((patch) => isForChain(patch, empty));
  const filter = create(listener.FilterSchema, {
    name: HCM,
    configType: { case: 'typedConfig', value: any },
  });
  const { configType } = patchFilter(filter, here);
  if (configType.case === 'typedConfig')
    message.apiListener = create(listener.ApiListenerSchema, { apiListener: configType.value });
}
