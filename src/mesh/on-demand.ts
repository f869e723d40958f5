import type { HttpFilter } from '../model/filter-config.js';
import type { ResolvedOutbound } from '../model/snapshot.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Request, Service } from '../service/service.js';

/** Asks for a virtual host of a table; `done` is called once, when requests find it or when there is none. */
type AskForHost = (table: string, host: string, done: (isThere: boolean) => void) => Unsubscribe;

/** Lets requests wait for virtual hosts that come when they are asked for (VHDS, Envoy's on_demand filter). */
export class OnDemandRoutes {
  readonly #ask: AskForHost;
  /** The newest way of a request through each listener, from choosing its route on. */
  readonly #dispatches = new Map<string, Service>();

  constructor(ask: AskForHost) {
    this.#ask = ask;
  }

  /**
   * What a listener does with requests that no route matches: they wait for the virtual host of their name, and choose
   * their route anew when it is there. Envoy: without it, or after waiting in vain, the request goes on as it would have.
   */
  unmatched({ listener, routes }: ResolvedOutbound, unrouted: Service): Service {
    if (routes?.virtualHostDiscovery !== true || !listener.http.filters.some(isOnDemand)) return unrouted;
    const { name } = routes;
    return async (request) => {
      // A host that came and has no route for the request is not asked for again.
      if (hasAsked(request)) return unrouted(request);
      const isThere = await this.#wait(name, request);
      const dispatch = isThere ? this.#dispatches.get(listener.name) : undefined;
      return (dispatch ?? unrouted)(request);
    };
  }

  /** Replaces the way through a listener. */
  put(listener: string, dispatch: Service): void {
    this.#dispatches.set(listener, dispatch);
  }

  /** Forgets the listeners that are gone. */
  retain(outbound: ReadonlyMap<string, ResolvedOutbound>): void {
    for (const name of this.#dispatches.keys()) if (!outbound.has(name)) this.#dispatches.delete(name);
  }

  #wait(table: string, { authority, abort }: Request): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const links: Unsubscribe[] = [];
      const end = () => {
        for (const unlink of links) unlink();
      };
      links.push(
        abort.onAbort((reason) => {
          end();
          reject(reason);
        }),
      );
      if (abort.aborted) return;
      links.push(
        this.#ask(table, authority, (isThere) => {
          end();
          resolve(isThere);
        }),
      );
    });
  }
}

const ASKED = Symbol('virtual host on demand');

function hasAsked({ context }: Request): boolean {
  context.values ??= new Map();
  const has = context.values.has(ASKED);
  context.values.set(ASKED, true);
  return has;
}

function isOnDemand({ config, disabled = false }: HttpFilter): boolean {
  return config.kind === 'on-demand' && !disabled;
}
