import { NO_LOCALITY } from '../../../src/model/endpoint.js';
import type { Node } from '../../../src/model/node.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createXdsClient } from '../../../src/xds/client.js';
import type { XdsClientOptions } from '../../../src/xds/client-api.js';
import type { StreamListener } from '../../../src/xds/stream.js';
import type { PublishedSnapshot } from '../../../src/xds/synchronizer.js';
import { AdsState } from '../../integration/support/ads-state.js';

export const NODE: Node = {
  id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local',
  cluster: 'a.default',
  locality: NO_LOCALITY,
  metadata: {
    NAMESPACE: 'default',
    SERVICE_ACCOUNT: 'a',
    LABELS: {},
    INSTANCE_IPS: '127.0.0.1',
    GENERATOR: 'inmesh',
  },
};

/** A server in the same process that can be taken down. */
export class FakeServer {
  readonly state = new AdsState();
  isUp = true;
  /** Paths of the methods of the streams that stand. */
  readonly methods = new Set<string>();
  /** Attempts so far, with their times. */
  readonly attempts: number[] = [];
  readonly #streams = new Set<StreamListener>();

  get streams(): number {
    return this.#streams.size;
  }

  goDown(): void {
    this.isUp = false;
    this.drop();
  }

  /** Ends the streams that stand. */
  drop(): void {
    for (const stream of this.#streams) {
      this.#streams.delete(stream);
      stream.onEnd(down());
    }
  }

  async open(method: string, listener: StreamListener, now: number) {
    this.attempts.push(now);
    if (!this.isUp) throw down();
    this.#streams.add(listener);
    this.methods.add(method);
    const isOpen = () => this.#streams.has(listener);
    const session = this.state.session(
      (bytes) => queueMicrotask(() => isOpen() && listener.onMessage(bytes)),
      method,
    );
    queueMicrotask(() => isOpen() && listener.onReady());
    return {
      send: (bytes: Uint8Array) => session.take(bytes),
      close: () => {
        this.#streams.delete(listener);
        this.methods.delete(method);
        session.end();
      },
    };
  }
}

/** A client in virtual time with servers by the name of their target. */
export function startFleet<Name extends string>(
  names: readonly Name[],
  options: Pick<XdsClientOptions, 'servers'> & Partial<XdsClientOptions>,
  prepare: (servers: Readonly<Record<Name, FakeServer>>) => void = () => {},
) {
  // Every name of the list has its server.
  const servers = Object.fromEntries(names.map((name) => [name, new FakeServer()])) as Record<
    Name,
    FakeServer
  >;
  prepare(servers);
  const clock = createFakeClock();
  const rejected: string[] = [];
  const client = createXdsClient({
    node: NODE,
    clock,
    random: seededRandom(7),
    logger: silentLogger,
    observer: { rejected: ({ name, message }) => void rejected.push(`${name}: ${message}`) },
    openStream: (server) => (method, listener) =>
      (servers as Record<string, FakeServer>)[server.target]?.open(method, listener, clock.now()) ??
      Promise.reject(down()),
    ...options,
  });
  const history: PublishedSnapshot[] = [];
  client.published.subscribe((one) => history.push(one));
  return { client, clock, history, rejected, servers };
}

function down(): MeshError {
  return new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', 'down');
}

export const clustersIn = ({ snapshot }: PublishedSnapshot): string[] => [...snapshot.clusters.keys()].sort();

export const portsOf = ({ snapshot }: PublishedSnapshot, cluster: string): number[] | undefined =>
  snapshot.clusters
    .get(cluster)
    ?.assignment?.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => address.port));
