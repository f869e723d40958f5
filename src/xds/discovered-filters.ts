import type { FilterDirection } from '../model/custom-filter.js';
import type { FilterConfig, HttpFilter } from '../model/filter-config.js';
import type { FilterExtension } from '../model/filter-extension.js';
import { inboundChains, withHttp } from '../model/inbound-chains.js';
import type { HttpConnectionManager, Listener } from '../model/listener.js';
import type { Found } from './found.js';

/** Names of the filters whose configuration comes by ECDS. */
export function discoveredOf(listener: Listener): readonly string[] {
  return managersOf(listener).flatMap(({ filters }) =>
    filters.flatMap(({ name, discovery }) => (discovery === undefined ? [] : [name])),
  );
}

/** The listener as it was filled in last, and from what. */
const filledIn = new WeakMap<
  Listener,
  { readonly configs: readonly FilterConfig[]; readonly listener: Listener }
>();

/**
 * The listener with the configuration of its filters, or `pending` while one has to be waited for. The same object for
 * the same configuration.
 */
export function fillIn<T extends Listener>(
  listener: T,
  find: (name: string) => Found<FilterExtension>,
): T | 'pending' {
  const direction = listener.kind === 'inbound' ? 'inbound' : 'outbound';
  const configs: FilterConfig[] = [];
  let isPending = false;
  for (const filter of managersOf(listener).flatMap(({ filters }) => filters)) {
    if (filter.discovery === undefined) continue;
    const config = configOf(filter, find(filter.name), direction);
    if (config === 'pending') isPending = true;
    else configs.push(config);
  }
  if (isPending) return 'pending';
  if (configs.length === 0) return listener;
  const known = filledIn.get(listener);
  // It was made of this very listener.
  if (known?.configs.every((one, index) => one === configs[index]) === true) return known.listener as T;
  const filled = withConfigs(listener, [...configs]);
  filledIn.set(listener, { configs, listener: filled });
  return filled;
}

function configOf(
  { config, discovery }: HttpFilter,
  found: Found<FilterExtension>,
  direction: FilterDirection,
): FilterConfig | 'pending' {
  if (found === 'pending') return discovery?.appliesDefault === true ? config : 'pending';
  if (typeof found !== 'object') return config;
  // Envoy: a configuration of another type than the listener allows is not used.
  const isFit = discovery?.types.includes(found.type) === true && found.directions.includes(direction);
  return isFit ? found.config : config;
}

function managersOf(listener: Listener): readonly HttpConnectionManager[] {
  if (listener.kind === 'outbound') return [listener.http];
  if (listener.kind === 'outbound-tcp') return [];
  return inboundChains(listener).flatMap(({ http }) => http ?? []);
}

function withConfigs<T extends Listener>(listener: T, configs: FilterConfig[]): T {
  const fill = (http: HttpConnectionManager): HttpConnectionManager => ({
    ...http,
    filters: http.filters.map((filter) =>
      filter.discovery === undefined ? filter : { ...filter, config: configs.shift() ?? filter.config },
    ),
  });
  if (listener.kind === 'outbound') return { ...listener, http: fill(listener.http) };
  // It was made of this very listener.
  return listener.kind === 'inbound' ? (withHttp(listener, fill) as T) : listener;
}
