import type { FilterDirection } from './custom-filter.js';
import type { FilterConfig } from './filter-config.js';

/** What ECDS brings under a name (Envoy TypedExtensionConfig). */
export interface FilterExtension {
  readonly name: string;
  /** Full name of its message. */
  readonly type: string;
  readonly config: FilterConfig;
  /** Sides that the filter is for. */
  readonly directions: readonly FilterDirection[];
}
