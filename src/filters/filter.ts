import type { FilterConfig } from '../model/filter-config.js';
import type { HeaderMatcher } from '../model/matcher.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { Filter, RequestHead } from '../service/service.js';

/** What a filter may use besides its own configuration. */
export interface FilterTools {
  readonly clock: Clock;
  readonly random: Random;
  /** Compiles header matchers once, when the stack is built. */
  readonly headerPredicate: (matchers: readonly HeaderMatcher[]) => (head: RequestHead) => boolean;
  /** The cluster that the stack sends to, when it is known. */
  readonly clusterName: string | undefined;
}

/** Makes the filter of one configuration; undefined when the configuration does nothing. */
export type FilterFactory<C extends FilterConfig> = (config: C, tools: FilterTools) => Filter | undefined;
