import type { Route, WeightedCluster } from '../model/route.js';
import type { MatchedRoute } from '../routing/route-list.js';
import type { Request, Response, Service } from '../service/service.js';
import { noRoute } from './answers.js';
import type { BuildStack } from './route-target.js';
import { Turnouts } from './turnouts.js';

/** A service with the turnouts in it. */
export interface TappedService {
  readonly service: Service;
  readonly turnouts: Turnouts;
}

/** The way into a route's stack below the filter of a place; undefined when there is no such filter. */
export type Entry = (index: number) => Service | undefined;

/** How requests find their new route. */
export interface ReroutingTools {
  readonly select: (request: Request) => MatchedRoute | undefined;
  /** Notes the route that a request takes. */
  readonly note: (request: Request, matched: MatchedRoute) => void;
}

/**
 * Moves requests between the stacks of one table of routes: a request whose route was chosen anew goes on in the stack of
 * the new route, below the filter that it has just passed. Filters above that one have seen it already, and keep what they
 * did under the old route (Envoy).
 */
export class Rerouting {
  readonly #entries = new Map<Route, Entry>();
  readonly #tools: ReroutingTools;

  constructor(tools: ReroutingTools) {
    this.#tools = tools;
  }

  /** Turnouts for one stack. */
  turnouts(): Turnouts {
    return new Turnouts((request, index) => this.#go(request, index));
  }

  /** Tells how the stack of a route is entered. */
  add(route: Route, entry: Entry): void {
    this.#entries.set(route, remembered(entry));
  }

  #go(request: Request, index: number): Promise<Response> {
    const matched = this.#tools.select(request);
    const service = matched && this.#entries.get(matched.route)?.(index);
    if (matched === undefined || service === undefined) return noRoute(request);
    this.#tools.note(request, matched);
    return service(request);
  }
}

/** Makes each entry once. */
function remembered(entry: Entry): Entry {
  const known = new Map<number, Service | undefined>();
  return (index) => {
    if (!known.has(index)) known.set(index, entry(index));
    return known.get(index);
  };
}

/** Builds the stack to each cluster once, so that all ways into a route share it. */
export function sharedStacks(
  build: (clusterName: string, one?: WeightedCluster) => TappedService,
): (clusterName: string, one?: WeightedCluster) => TappedService {
  const stacks = new Map<WeightedCluster | undefined, Map<string, TappedService>>();
  return (clusterName, one) => {
    let byName = stacks.get(one);
    if (byName === undefined) {
      byName = new Map();
      stacks.set(one, byName);
    }
    let stack = byName.get(clusterName);
    if (stack === undefined) {
      stack = build(clusterName, one);
      byName.set(clusterName, stack);
    }
    return stack;
  };
}

/** The ways into the stacks of a route below the filter of a place. */
export function restsAt(index: number, stackOf: ReturnType<typeof sharedStacks>): BuildStack {
  return (clusterName, one) => {
    const rest = stackOf(clusterName, one).turnouts.rests.get(index) ?? noRoute;
    return (request) => {
      request.context.clusterName = clusterName;
      return rest(request);
    };
  };
}
