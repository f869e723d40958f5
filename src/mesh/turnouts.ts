import type { Filter, Request, Response, Service } from '../service/service.js';

/** Sends a request on with the route that it matches now, below the filter of that place. */
type Reroute = (request: Request, index: number) => Promise<Response>;

/**
 * What stands in one stack right below each filter that may have the route chosen anew (Envoy `clear_route_cache`): as
 * long as the route is not stale it passes requests on; else the rest of the way is that of another route.
 */
export class Turnouts {
  /** What is below each filter, by that filter's place in the list. */
  readonly rests = new Map<number, Service>();
  readonly #places = new Map<Filter, number>();
  readonly #reroute: Reroute;

  constructor(reroute: Reroute) {
    this.#reroute = reroute;
  }

  /** The filter to stand below the one of a place. */
  below(index: number): Filter {
    const turnout: Filter = (request, next) => {
      if (!request.context.routeIsStale) return next(request);
      request.context.routeIsStale = false;
      return this.#reroute(request, index);
    };
    this.#places.set(turnout, index);
    return turnout;
  }

  /** Stacks filters on a service as `compose` does, and notes what is below each turnout. */
  compose(filters: readonly Filter[], service: Service): Service {
    return filters.reduceRight<Service>((next, filter) => {
      const index = this.#places.get(filter);
      if (index !== undefined) this.rests.set(index, next);
      return (request) => filter(request, next);
    }, service);
  }
}
