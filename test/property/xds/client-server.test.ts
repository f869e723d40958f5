import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClientSession } from '../../../src/control-plane/serve/client-session.js';
import { DeltaConversation, SotwConversation } from '../../../src/control-plane/serve/conversation.js';
import { NO_LOCALITY } from '../../../src/model/endpoint.js';
import type { Node } from '../../../src/model/node.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createXdsClient } from '../../../src/xds/client.js';
import type { ProtocolKind } from '../../../src/xds/engine.js';
import { xdsServer } from '../../../src/xds/server.js';
import type { OpenStream } from '../../../src/xds/stream.js';
import { World, withEntry } from '../../unit/control-plane/serve/world.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from '../../unit/xds/fixtures.js';

// Our client against our server, with messages that take their time and streams that break: what is in force at the end is
// what the server has.

const SERVICES = ['x', 'y', 'z'] as const;
const CLUSTERS = ['p', 'q', 'r'] as const;

const NODE: Node = {
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

type Step =
  | { readonly kind: 'serve'; readonly name: string; readonly clusters: readonly string[] }
  | { readonly kind: 'endpoints'; readonly name: string; readonly port: number }
  | { readonly kind: 'withdraw'; readonly name: string }
  | { readonly kind: 'forget'; readonly name: string }
  | { readonly kind: 'publish' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'wait'; readonly ms: number };

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('serve' as const),
      name: fc.constantFrom(...SERVICES),
      clusters: fc.uniqueArray(fc.constantFrom(...CLUSTERS), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      kind: fc.constant('endpoints' as const),
      name: fc.constantFrom(...CLUSTERS),
      port: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ kind: fc.constant('withdraw' as const), name: fc.constantFrom(...SERVICES) }),
    fc.record({ kind: fc.constant('forget' as const), name: fc.constantFrom(...CLUSTERS) }),
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('publish' as const) }) },
    fc.record({ kind: fc.constant('drop' as const) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(0, 3, 10, 40, 2000) }),
  ),
  { minLength: 5, maxLength: 30, size: 'max' },
);

/** A server in memory whose streams deliver in order, each message after up to 20 ms. */
class Link {
  readonly world = new World();
  readonly #protocol: ProtocolKind;
  readonly #random: () => number;
  #drop: (() => void) | undefined;

  constructor(protocol: ProtocolKind, seed: number) {
    this.#protocol = protocol;
    this.#random = seededRandom(seed);
  }

  readonly open: OpenStream = async (_, listener) => {
    const { world } = this;
    const { clock } = world;
    const [up, down] = [this.#pipe(), this.#pipe()];
    const session: ClientSession = new ClientSession({
      conversation:
        this.#protocol === 'delta' ? new DeltaConversation(world.tables) : new SotwConversation(world.tables),
      snapshots: world.tables.snapshots,
      state: () => world.published,
      clock,
      logger: silentLogger,
      onNode: () => {},
      write: (message) => {
        const bytes = Buffer.concat(message);
        down.push(() => listener.onMessage(bytes));
        return true;
      },
      holdsBack: () => false,
      wake: () => session.push(),
    });
    world.sessions.add(session);
    const end = () => {
      up.end();
      down.end();
      session.close();
      world.sessions.delete(session);
    };
    this.#drop = () => {
      end();
      listener.onEnd(new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', 'dropped'));
    };
    clock.schedule(0, () => down.push(() => listener.onReady()));
    return {
      send: (bytes) =>
        up.push(() => {
          session.receive(bytes);
          session.push();
        }),
      close: end,
    };
  };

  drop(): void {
    this.#drop?.();
    this.#drop = undefined;
  }

  #pipe() {
    const { clock } = this.world;
    let [dueMs, isOpen] = [0, true];
    return {
      push: (deliver: () => void) => {
        dueMs = Math.max(dueMs, clock.now() + Math.floor(this.#random() * 20));
        clock.schedule(dueMs - clock.now(), () => {
          if (isOpen) deliver();
        });
      },
      end() {
        isOpen = false;
      },
    };
  }
}

function apply(link: Link, step: Exclude<Step, { kind: 'wait' }>): void {
  const { world } = link;
  if (step.kind === 'drop') link.drop();
  else if (step.kind === 'publish') world.publish();
  else if (step.kind === 'serve') serve(world, step.name, step.clusters);
  else if (step.kind === 'endpoints') {
    world.endpoints = withEntry(world.endpoints, step.name, assignmentOf(step.name, step.port));
  } else if (step.kind === 'withdraw') {
    world.listeners = withEntry(world.listeners, `${step.name}:80`, undefined);
    world.routes = withEntry(world.routes, step.name, undefined);
  } else {
    world.clusters = withEntry(world.clusters, step.name, undefined);
    world.endpoints = withEntry(world.endpoints, step.name, undefined);
  }
}

function serve(world: World, name: string, clusters: readonly string[]): void {
  world.listeners = withEntry(world.listeners, `${name}:80`, listenerOf(`${name}:80`, name));
  world.routes = withEntry(world.routes, name, routesTo(name, ...clusters));
  for (const cluster of clusters) {
    world.clusters = withEntry(world.clusters, cluster, clusterOf(cluster));
    if (!world.endpoints.has(cluster))
      world.endpoints = withEntry(world.endpoints, cluster, assignmentOf(cluster, 1));
  }
}

/** Everything that a route refers to is there in the end. */
function mend(world: World): void {
  for (const cluster of CLUSTERS) {
    world.clusters = withEntry(world.clusters, cluster, clusterOf(cluster));
    world.endpoints = withEntry(
      world.endpoints,
      cluster,
      world.endpoints.get(cluster) ?? assignmentOf(cluster, 9),
    );
  }
}

async function run(protocol: ProtocolKind, all: readonly Step[], seed: number): Promise<void> {
  const link = new Link(protocol, seed);
  const { world } = link;
  const rejected: string[] = [];
  const client = createXdsClient({
    node: NODE,
    servers: [xdsServer({ target: '127.0.0.1:1', protocol })],
    clock: world.clock,
    random: seededRandom(seed),
    logger: silentLogger,
    observer: { rejected: ({ message }) => void rejected.push(message) },
    openStream: () => link.open,
  });
  for (const step of all) {
    if (step.kind === 'wait') await world.clock.advance(step.ms);
    else apply(link, step);
  }
  mend(world);
  world.publish();
  await world.clock.advance(120_000);
  const { snapshot } = client.published.value;
  expect([...snapshot.outbound.keys()].sort()).toEqual([...world.listeners.keys()].sort());
  for (const [name, { routes }] of snapshot.outbound) {
    expect(routes).toEqual(world.routes.get(name.split(':')[0] ?? ''));
  }
  for (const [name, { cluster, assignment }] of snapshot.clusters) {
    expect(cluster).toEqual(world.clusters.get(name));
    expect(assignment).toEqual(world.endpoints.get(name));
  }
  const wanted = [...world.routes.values()].flatMap(clustersOf);
  expect([...snapshot.clusters.keys()].sort()).toEqual([...new Set(wanted)].sort());
  expect(rejected).toEqual([]);
  await client.close();
  link.drop();
}

/** The clusters that `routesTo` refers to. */
function clustersOf(routes: ReturnType<typeof routesTo>): readonly string[] {
  return CLUSTERS.filter((name) => JSON.stringify(routes.virtualHosts).includes(`"${name}"`));
}

describe.each(['sotw', 'delta'] as const)('our client against our server (%s)', (protocol) => {
  test('has in the end what the server has, whatever happened before', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.integer(), (all, seed) => run(protocol, all, seed)),
      { numRuns: 100 },
    );
  });
});
