import { describe, expect, test } from 'vitest';
import { encodeNode } from '../../../../src/codec/node.js';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT } from '../../../../src/codec/resource-types.js';
import { ClientSession } from '../../../../src/control-plane/serve/client-session.js';
import { DeltaConversation, SotwConversation } from '../../../../src/control-plane/serve/conversation.js';
import { type ResourceTtlOptions, resourceTtls } from '../../../../src/control-plane/serve/resource-ttls.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { seededRandom } from '../../../../src/runtime/random.js';
import { createEngine } from '../../../../src/xds/engine.js';
import type { DecodableType, HeldBytes, ResourceChange } from '../../../../src/xds/protocol.js';
import { assignmentOf, clusterOf } from '../../xds/fixtures.js';
import { nodeOf } from '../compile/mesh.js';
import { World } from './world.js';

/** The engine of the SDK against a session of the server: what it is told. */
class Pair {
  readonly world = new World();
  readonly told: ResourceChange[] = [];
  readonly #held = new Map<string, HeldBytes>();
  readonly #engine;
  readonly session: ClientSession;

  constructor(
    readonly protocol: 'delta' | 'sotw',
    ttl?: ResourceTtlOptions,
  ) {
    const { world } = this;
    this.#engine = createEngine(protocol, {
      node: encodeNode(nodeOf()),
      held: {
        get: (typeUrl, name) => this.#held.get(`${typeUrl} ${name}`),
        names: (typeUrl) =>
          [...this.#held.keys()].flatMap((key) =>
            key.startsWith(`${typeUrl} `) ? [key.slice(typeUrl.length + 1)] : [],
          ),
      },
      random: seededRandom(1),
    });
    this.session = new ClientSession({
      conversation:
        protocol === 'delta' ? new DeltaConversation(world.tables) : new SotwConversation(world.tables),
      snapshots: world.tables.snapshots,
      state: () => world.published,
      clock: world.clock,
      logger: silentLogger,
      ttls: ttl && resourceTtls(ttl),
      onNode: () => {},
      write: (message) => {
        this.#receive(Buffer.concat(message));
        return true;
      },
      holdsBack: () => false,
      wake: () => this.session.push(),
    });
    world.sessions.add(this.session);
    world.publish();
    for (const request of this.#engine.reconnect()) this.#send(request);
  }

  ask(type: DecodableType, names: readonly string[]): void {
    this.#send(this.#engine.subscribe(type, new Set(names)));
    this.session.push();
  }

  /** What was told since it was asked last. */
  news(): readonly string[] {
    return this.told.splice(0).map((change) => {
      const ttl = 'ttlMs' in change && change.ttlMs !== undefined ? ` for ${change.ttlMs} ms` : '';
      const why = change.kind === 'failed' ? ` ${change.code}` : '';
      return `${change.kind} ${change.name}${ttl}${why}`;
    });
  }

  #send(request: Uint8Array | undefined): void {
    if (request !== undefined) this.session.receive(request);
  }

  #receive(message: Uint8Array): void {
    const steps = this.#engine.receive(message);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    for (const change of step.value.changes) {
      const key = `${change.type.typeUrl} ${change.name}`;
      if (change.kind === 'updated')
        this.#held.set(key, {
          accepted: change.bytes,
          resource: change.resource,
          version: change.version,
          rejected: undefined,
        });
      if (change.kind === 'removed') this.#held.delete(key);
      this.told.push(change);
    }
    this.#send(step.value.reply);
  }
}

describe.each(['delta', 'sotw'] as const)('%s', (protocol) => {
  test('what ends is kept alive by heartbeats, which are no updates', async () => {
    const pair = new Pair(protocol, { clusters: 30_000, heartbeatMs: 10_000 });
    const { world } = pair;
    world.clusters = new Map([['a', clusterOf('a')]]);
    world.endpoints = new Map([['a', assignmentOf('a', 1)]]);
    world.publish();
    pair.ask(CLUSTER, ['*']);
    pair.ask(CLUSTER_LOAD_ASSIGNMENT, ['a']);
    expect(pair.news()).toEqual(['updated a for 30000 ms', 'updated a']);

    await world.clock.advance(10_000);
    expect(pair.news()).toEqual(['unchanged a for 30000 ms']);
    world.clusters = new Map([...world.clusters, ['b', clusterOf('b')]]);
    world.publish();
    expect(pair.news()).toContain('updated b for 30000 ms');
    await world.clock.advance(10_000);
    expect(pair.news().toSorted()).toEqual(['unchanged a for 30000 ms', 'unchanged b for 30000 ms']);
    pair.session.close();
    await world.clock.advance(60_000);
    expect(pair.news()).toEqual([]);
  });

  test('nothing ends unless it is asked for', async () => {
    const pair = new Pair(protocol);
    pair.world.clusters = new Map([['a', clusterOf('a')]]);
    pair.world.publish();
    pair.ask(CLUSTER, ['*']);
    await pair.world.clock.advance(60_000);
    expect(pair.news()).toEqual(['updated a']);
  });

  test('a resource that can not be encoded is told as an error, and keeps nothing from the client', () => {
    const pair = new Pair(protocol);
    const { world } = pair;
    const broken = { ...assignmentOf('b', 1), localities: 5 as never };
    world.endpoints = new Map([
      ['a', assignmentOf('a', 1)],
      ['b', broken],
    ]);
    world.publish();
    pair.ask(CLUSTER_LOAD_ASSIGNMENT, ['a', 'b']);
    expect(pair.news().toSorted()).toEqual(['failed b 13', 'updated a']);
    world.endpoints = new Map([
      ['a', assignmentOf('a', 1)],
      ['b', assignmentOf('b', 1)],
    ]);
    world.publish();
    expect(pair.news()).toEqual(['updated b']);
    world.endpoints = new Map([
      ['a', assignmentOf('a', 1)],
      ['b', broken],
    ]);
    world.publish();
    expect(pair.news()).toEqual(['failed b 13']);
  });

  test('what does not exist is told at once', () => {
    const pair = new Pair(protocol);
    pair.world.endpoints = new Map([['a', assignmentOf('a', 1)]]);
    pair.world.publish();
    pair.ask(CLUSTER_LOAD_ASSIGNMENT, ['a', 'none']);
    expect(pair.news().toSorted()).toEqual(
      [protocol === 'delta' ? 'removed none' : 'failed none 5', 'updated a'].toSorted(),
    );
  });
});

test('heartbeats must come before the end', () => {
  expect(() => resourceTtls({ clusters: 1_000, heartbeatMs: 1_000 })).toThrow('heartbeats');
  expect(() => resourceTtls({ clusters: 0 })).toThrow('heartbeats');
  expect(resourceTtls({})).toBeUndefined();
  expect(resourceTtls({ clusters: 3_000, routes: 900 })?.heartbeatMs).toBe(300);
});
