// The package's sub-path './filters': what an application needs to write filters of its own.
export {
  type DefinedFilter,
  defineFilter,
  type FilterBasics,
  type FilterContext,
  type FilterDefinition,
  type FilterParsing,
  type FilterPlace,
  type FilterPlacing,
  type FilterUse,
  type RouteParsing,
} from './filters/define-filter.js';
export type { LocalNode } from './filters/filter.js';
export type { FilterCounter } from './filters/filter-memory.js';
export { type FilterReply, reply } from './filters/reply.js';
export type { FilterDirection } from './model/custom-filter.js';
