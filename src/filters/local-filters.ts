import type { LocalFilterConfig } from '../model/local-filters.js';
import { unreachable } from '../runtime/errors.js';
import type { Filter } from '../service/service.js';
import type { FilterTools, OwnConfig } from './filter.js';
import { localRateLimit } from './local-rate-limit.js';

/** Makes one of the filters that decide by themselves; undefined when it does nothing here. */
export function localFilter(
  config: LocalFilterConfig,
  _own: OwnConfig,
  tools: FilterTools,
): Filter | undefined {
  switch (config.kind) {
    case 'local-rate-limit':
      return localRateLimit(config, tools);
    case 'rbac':
    case 'rbac-route':
    // Made by the instance that is one; of an instance that is another filter it says nothing.
    case 'disabled':
      return undefined;
    default:
      return unreachable(config);
  }
}
