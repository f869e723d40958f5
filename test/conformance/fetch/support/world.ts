import { Agent, type RequestInit, fetch as undiciFetch } from 'undici';
import { MeshDispatcher } from '../../../../src/bindings/undici/dispatcher.js';
import { createDispatchingFetch } from '../../../../src/bindings/undici/fetch/create-fetch.js';
import {
  cluster,
  createStaticMesh,
  endpoint,
  forward,
  host,
  type StaticMesh,
  snapshotOf,
} from '../../../integration/support/static-mesh.js';
import { Origin } from './origin.js';

export type Fetch = typeof undiciFetch;

/** A port where nobody listens, reserved by IANA. */
export const DEAD_PORT = 49;

/** One way to fetch, with the server it talks to. */
export interface World {
  readonly fetch: Fetch;
  /** `http://127.0.0.1:port` of the server. */
  readonly base: string;
  /** Another origin of the same server: `http://localhost:port`. */
  readonly other: string;
  readonly origin: Origin;
}

/** The same server seen through undici's fetch, through the mesh, and through the mesh's fetch from outside of it. */
export interface Worlds {
  readonly origin: Origin;
  readonly plain: World;
  readonly mesh: World;
  readonly outside: World;
  /** Through the mesh. */
  readonly dispatcher: MeshDispatcher;
  close(): Promise<void>;
}

export async function openWorlds(): Promise<Worlds> {
  const origin = new Origin();
  await origin.listen();
  const { port } = origin;
  const agent = new Agent({ connect: { timeout: 5000 } });
  const mesh: StaticMesh = createStaticMesh(
    snapshotOf(
      [
        host(`127.0.0.1:${port}`, [forward('origin')]),
        host(`localhost:${port}`, [forward('origin')]),
        host(`127.0.0.1:${DEAD_PORT}`, [forward('dead', {})]),
      ],
      [cluster('origin', [endpoint(port)]), cluster('dead', [endpoint(DEAD_PORT)])],
    ),
  );
  const empty = createStaticMesh(snapshotOf([], []));
  const dispatchers = [new MeshDispatcher(mesh), new MeshDispatcher(empty)] as const;
  const places = { base: `http://127.0.0.1:${port}`, other: `http://localhost:${port}`, origin };
  // The types of both fetches describe the same.
  const through = (dispatcher: MeshDispatcher) => createDispatchingFetch(dispatcher) as unknown as Fetch;
  return {
    origin,
    dispatcher: dispatchers[0],
    plain: { ...places, fetch: plainFetch(agent) },
    mesh: { ...places, fetch: through(dispatchers[0]) },
    outside: { ...places, fetch: through(dispatchers[1]) },
    async close() {
      await Promise.all([agent.destroy(), ...dispatchers.map((one) => one.destroy())]);
      // First the server: responses that nobody read to their end would hold the mesh open.
      await origin.close();
      await Promise.all([mesh.close(), empty.close()]);
    },
  };
}

/** undici's own fetch; its dispatcher is given where the caller's init can't be changed by it. */
function plainFetch(agent: Agent): Fetch {
  return (input, init) => {
    if (init !== undefined && init !== null && typeof init !== 'object') return undiciFetch(input, init);
    return undiciFetch(input, withDispatcher(init, agent));
  };
}

function withDispatcher(init: RequestInit | undefined, agent: Agent): RequestInit {
  // A proxy and not a copy: what fetch reads of an init, and in which order, stays as it is.
  return new Proxy(init ?? {}, {
    get: (target, key) => (key === 'dispatcher' ? (target.dispatcher ?? agent) : Reflect.get(target, key)),
  });
}
