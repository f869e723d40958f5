import type { FilterConfig, FilterOverrides, HttpFilter } from '../model/filter-config.js';
import { unreachable } from '../runtime/errors.js';
import type { Filter } from '../service/service.js';
import { fault } from './fault.js';
import type { FilterTools } from './filter.js';

/** Makes the filter of a configuration; undefined when it does nothing here. A new filter adds one line. */
function createFilter(config: FilterConfig, tools: FilterTools): Filter | undefined {
  switch (config.kind) {
    case 'fault':
      return fault(config, tools);
    case 'router':
      // The router is the stack below the filters, not a filter of its own.
      return undefined;
    default:
      return unreachable(config);
  }
}

/**
 * Builds the HTTP filters of one stack in configured order.
 * `overrides` go from the most specific to the least (weighted cluster, route, virtual host); the first that names
 * the filter's instance replaces its configuration (Envoy `typed_per_filter_config`).
 */
export function buildFilters(
  filters: readonly HttpFilter[],
  overrides: readonly FilterOverrides[],
  tools: FilterTools,
): Filter[] {
  const built: Filter[] = [];
  for (const { name, config } of filters) {
    const override = overrides.find((layer) => layer.has(name))?.get(name);
    const filter = createFilter(override ?? config, tools);
    if (filter !== undefined) built.push(filter);
  }
  return built;
}
