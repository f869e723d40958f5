import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SDK_ENCODERS } from '../../../src/control-plane/resources/encoders.js';
import type { ServedType } from '../../../src/control-plane/serve/resources.js';
import { ModelClient, type ProtocolName } from '../../unit/control-plane/serve/model-client.js';
import { CDS, EDS, LDS, RDS, World, withEntry } from '../../unit/control-plane/serve/world.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from '../../unit/xds/fixtures.js';

const PROTOCOLS: readonly ProtocolName[] = ['state of the world', 'delta'];
const NAMES = ['a', 'b', 'c', 'd'] as const;
const WORDS = ['one', 'two', 'bad'] as const;
type Word = (typeof WORDS)[number];

type Step =
  | {
      readonly kind: 'set';
      readonly type: 'CDS' | 'EDS';
      readonly name: string;
      readonly word: Word | undefined;
    }
  | { readonly kind: 'subscribe'; readonly type: 'CDS' | 'EDS'; readonly names: readonly string[] }
  | { readonly kind: 'up' | 'down' | 'drop' | 'publish' | 'narrow' | 'drain' };

const subscription = fc.oneof(
  fc.record({
    kind: fc.constant('subscribe' as const),
    type: fc.constant('CDS' as const),
    names: fc.uniqueArray(fc.constantFrom(...NAMES, '*'), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('subscribe' as const),
    type: fc.constant('EDS' as const),
    names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
  }),
);
const change = fc.record({
  kind: fc.constant('set' as const),
  type: fc.constantFrom('CDS' as const, 'EDS' as const),
  name: fc.constantFrom(...NAMES),
  word: fc.option(fc.constantFrom(...WORDS), { nil: undefined }),
});
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: change },
    { weight: 2, arbitrary: subscription },
    { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('up' as const, 'down' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constantFrom('publish' as const, 'drop' as const, 'narrow' as const, 'drain' as const),
      }),
    },
  ),
  { maxLength: 60, size: 'max' },
);

const PORTS = { one: 1, two: 2, bad: 3 } as const;

function put(world: World, type: 'CDS' | 'EDS', name: string, word: Word | undefined): void {
  if (type === 'CDS') {
    const cluster = word && { ...clusterOf(name), connectTimeoutMs: 1000 * PORTS[word] };
    if (cluster !== undefined && word === 'bad') world.spoil(CDS, cluster);
    world.clusters = withEntry(world.clusters, name, cluster);
  } else {
    const assignment = word && assignmentOf(name, PORTS[word]);
    if (assignment !== undefined && word === 'bad') world.spoil(EDS, assignment);
    world.endpoints = withEntry(world.endpoints, name, assignment);
  }
}

function run(world: World, client: ModelClient, step: Step): void {
  if (step.kind === 'set') put(world, step.type, step.name, step.word);
  else if (step.kind === 'subscribe') client.subscribe(step.type === 'CDS' ? CDS : EDS, step.names);
  else if (step.kind === 'up') client.up();
  else if (step.kind === 'down') client.down();
  else if (step.kind === 'publish') world.publish();
  else if (step.kind === 'narrow') client.window = 1;
  else if (step.kind === 'drain') {
    client.window = 3;
    client.writable();
  } else if (client.session === undefined) client.connect();
  else client.drop();
}

/** Mends what is bad, and lets everything arrive. */
function settle(world: World, client: ModelClient): void {
  for (const name of NAMES) {
    for (const type of ['CDS', 'EDS'] as const) {
      const expected = world.expected(type === 'CDS' ? CDS : EDS, name);
      if (expected !== undefined && world.isBad(expected)) put(world, type, name, 'one');
    }
  }
  if (client.session === undefined) client.connect();
  world.publish();
  client.rest();
}

function expectConverged(world: World, client: ModelClient, type: ServedType): void {
  const holding = client.holding(type);
  for (const name of NAMES) {
    const expected = world.expected(type, name);
    if (!holding.wants(name)) expect(holding.held.has(name), name).toBe(false);
    else if (expected !== undefined || type.complete || client.protocol === 'delta')
      expect(holding.held.get(name), name).toBe(expected);
    // State of the world can not tell that a name does not exist.
    if (client.protocol === 'delta' && holding.names.has(name) && expected === undefined)
      expect(holding.absent.has(name), name).toBe(true);
  }
}

describe.each(PROTOCOLS)('the %s server', (protocol) => {
  test.each([
    ['refuses whole responses', false],
    ['takes the good resources', true],
  ])('brings a client that %s to what there is, whatever happened before', (_, isLenient) => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = new World();
        const client = new ModelClient(world, protocol, isLenient);
        client.subscribe(CDS, ['*']);
        client.subscribe(EDS, ['a', 'b']);
        client.connect();
        for (const step of all) run(world, client, step);
        settle(world, client);
        expectConverged(world, client, CDS);
        expectConverged(world, client, EDS);
        expect(client.session?.status().state).toBe('SYNCED');
        expect(client.session?.applied).toBe(world.published.revision);
      }),
      { numRuns: 250 },
    );
  });

  test('says nothing to a client that has everything, and stops after a refusal', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = new World();
        const client = new ModelClient(world, protocol);
        client.subscribe(CDS, ['*']);
        client.connect();
        for (const step of all) run(world, client, step);
        if (client.session === undefined) client.connect();
        client.rest();
        world.publish();
        client.rest();
        const { responses } = client.holding(CDS);
        world.publish();
        client.rest();
        expect(client.holding(CDS).responses).toBe(responses);
      }),
      { numRuns: 100 },
    );
  });

  test('makes before it breaks: no route leads to a cluster that the client does not hold', () => {
    const routeTo = fc.record({
      route: fc.constantFrom('r', 's'),
      cluster: fc.constantFrom(...NAMES, undefined),
    });
    const moves = fc.array(
      fc.oneof(
        routeTo,
        fc.constantFrom('up' as const, 'down' as const),
        fc.constantFrom('up' as const, 'down' as const),
      ),
      { maxLength: 80, size: 'max' },
    );
    fc.assert(
      fc.property(moves, (all) => {
        const world = new World();
        const client = new ModelClient(world, protocol);
        const targets = new Map<string, string>();
        client.subscribe(CDS, ['*']);
        client.subscribe(LDS, ['*']);
        client.subscribe(RDS, ['r', 's']);
        client.connect();
        client.rest();
        // What each variant of a route leads to.
        const variants = new Map<string, string>();
        client.onApplied = () => {
          for (const value of client.holding(RDS).held.values()) {
            const cluster = variants.get(value);
            // Routes of state of the world go with their listener.
            const isReachable = protocol === 'delta' || client.holding(LDS).held.size > 0;
            if (cluster !== undefined && isReachable && targets.size === 2)
              expect([...client.holding(CDS).held.keys()]).toContain(cluster);
          }
        };
        for (const move of all) {
          if (move === 'up') client.up();
          else if (move === 'down') client.down();
          else {
            if (move.cluster === undefined) continue;
            targets.set(move.route, move.cluster);
            const routes = routesTo(move.route, move.cluster);
            variants.set(Buffer.from(RDS.encode(routes, SDK_ENCODERS)).toString('base64'), move.cluster);
            world.routes = withEntry(world.routes, move.route, routes);
            world.listeners = withEntry(
              world.listeners,
              `l${move.route}`,
              listenerOf(`l${move.route}`, move.route),
            );
            world.clusters = new Map(
              [...new Set(targets.values())].map((name) => [
                name,
                world.clusters.get(name) ?? clusterOf(name),
              ]),
            );
            world.publish();
          }
        }
        world.publish();
        client.rest();
        expect([...client.holding(CDS).held.keys()].sort()).toEqual([...world.clusters.keys()].sort());
      }),
      { numRuns: 100 },
    );
  });
});
