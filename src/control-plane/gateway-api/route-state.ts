import type { ApiRoute, ParentAttachment } from './parents.js';

/** A route with its parents. */
export interface RouteState {
  readonly route: ApiRoute;
  readonly parents: readonly ParentAttachment[];
}
