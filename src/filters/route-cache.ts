import type { FilterConfig, HttpFilter } from '../model/filter-config.js';
import type { Request } from '../service/service.js';

/** Whether a filter may have the route chosen anew. */
export function clearsRouteCache(config: FilterConfig): boolean {
  switch (config.kind) {
    case 'ext-authz':
      return config.clearRouteCache === true;
    case 'jwt-authn':
      for (const { clearRouteCache } of config.providers.values()) if (clearRouteCache === true) return true;
      return false;
    default:
      return false;
  }
}

/** Whether any filter of a list may. */
export function anyClearsRouteCache(filters: readonly HttpFilter[]): boolean {
  return filters.some(({ config }) => clearsRouteCache(config));
}

/** What the filter changed may lead to another route: it is chosen anew below the filter (Envoy `clearRouteCache`). */
export function clearRouteCache({ context }: Request): void {
  context.routeIsStale = true;
}
