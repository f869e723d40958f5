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
export type { BodyChange, HeadChange, ResponseChange, ResponseHead } from './service/head-change.js';
export { type Message, readBytes, readJson, readText, setBody } from './service/read-body.js';
export { changeHead, changeResponse } from './service/response-head.js';
export { type BodyTransform, transformBody } from './service/transform-body.js';
