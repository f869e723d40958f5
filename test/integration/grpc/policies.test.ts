import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../src/model/cluster.js';
import type { Endpoint } from '../../../src/model/endpoint.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type { HashPolicy } from '../../../src/model/hash-policy.js';
import type { LbPolicy } from '../../../src/model/lb-policy.js';
import type { RouteAction } from '../../../src/model/route.js';
import type { Snapshot } from '../../../src/model/snapshot.js';
import { loadHashes } from '../../../src/runtime/hash.js';
import {
  cluster,
  createStaticMesh,
  endpoint,
  forward,
  host,
  type StaticMesh,
  snapshotOf,
} from '../support/static-mesh.js';
import { type TestClient, testService, testServiceHandlers } from './interop-service.js';
import { clientOf, HTTP2, SHOP, serve } from './support.js';

// What a mesh's configuration says of the hosts of calls, over real connections to servers of grpc-js.

interface Shop {
  readonly name: string;
  readonly port: number;
  readonly server: grpc.Server;
  /** What its next calls are answered with; OK without any. */
  status: Partial<grpc.StatusObject> | undefined;
  /** Answers come when this is settled. */
  hold: Promise<void> | undefined;
  utilization: number | undefined;
  calls: number;
}

const names = ['a', 'b', 'c'] as const;
const shops = new Map<string, Shop>();

async function open(name: string): Promise<Shop> {
  const shop: { -readonly [key in keyof Shop]: Shop[key] } = {
    name,
    port: 0,
    server: undefined as never,
    status: undefined,
    hold: undefined,
    utilization: undefined,
    calls: 0,
  };
  const answer = async (call: grpc.ServerUnaryCall<object, object>, done: grpc.sendUnaryData<object>) => {
    shop.calls++;
    // It holds for the calls that came before it was over.
    await shop.hold;
    if (shop.utilization !== undefined) {
      call.getMetricsRecorder().recordCPUUtilizationMetric(shop.utilization);
      call.getMetricsRecorder().recordQpsMetric(100);
    }
    if (shop.status === undefined) done(null, { serverId: name });
    else done(shop.status);
  };
  const served = await serve(
    (server) =>
      server.addService(testService, {
        ...testServiceHandlers(),
        unaryCall: (call: grpc.ServerUnaryCall<object, object>, done: grpc.sendUnaryData<object>) =>
          void answer(call, done),
      }),
    undefined,
    { 'grpc.server_call_metric_recording': 1 },
  );
  return Object.assign(shop, served);
}

const shop = (name: string): Shop => shops.get(name) as Shop;

beforeAll(async () => {
  await loadHashes();
  for (const name of names) shops.set(name, await open(name));
});
afterAll(() => {
  for (const { server } of shops.values()) server.forceShutdown();
});
beforeEach(() => {
  for (const one of shops.values()) {
    Object.assign(one, { status: undefined, hold: undefined, utilization: undefined, calls: 0 });
  }
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Setup {
  readonly change?: Partial<Cluster>;
  readonly action?: Partial<RouteAction>;
  readonly filter?: FilterConfig;
  readonly endpoints?: readonly Endpoint[];
}

const everywhere = (): Endpoint[] => names.map((name) => endpoint(shop(name).port));

function snapshotFor({ change, action, filter, endpoints = everywhere() }: Setup): Snapshot {
  const own = host(SHOP, [forward('shop', action)]);
  const { http } = own.listener;
  const filters = filter === undefined ? http.filters : [{ name: 'one', config: filter }, ...http.filters];
  return snapshotOf(
    [{ ...own, listener: { ...own.listener, http: { ...http, filters } } }],
    [cluster('shop', endpoints, { protocol: HTTP2, ...change })],
  );
}

function meshFor(setup: Setup): StaticMesh {
  const mesh = createStaticMesh(snapshotFor(setup));
  closers.push(() => mesh.close());
  return mesh;
}

function clientFor(setup: Setup): TestClient {
  const client = clientOf(meshFor(setup));
  closers.push(() => client.close());
  return client;
}

/** Who answered, or the status behind `!`. */
function ask(
  client: TestClient,
  entries: Readonly<Record<string, string>> = {},
  options: grpc.CallOptions = {},
): Promise<string> {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return new Promise((resolve) => {
    client.unaryCall({ fillServerId: true }, metadata, options, (error, answer) => {
      resolve(error === null ? String(answer?.serverId) : `!${grpc.status[error.code]}`);
    });
  });
}

async function askAll(client: TestClient, count: number, entries?: Readonly<Record<string, string>>) {
  const answers: string[] = [];
  for (let i = 0; i < count; i++) answers.push(await ask(client, entries));
  return answers;
}

const tally = (answers: readonly string[]) =>
  Object.fromEntries(
    [...new Set(answers)].sort().map((one) => [one, answers.filter((x) => x === one).length]),
  );

const HASHING = { useHostname: false, balanceFactorPercent: 0, localityWeighted: false } as const;
const RING: LbPolicy = {
  kind: 'ring-hash',
  hashFunction: 'xx-hash',
  minimumRingSize: 1024,
  maximumRingSize: 8192,
  ...HASHING,
};
const MAGLEV: LbPolicy = { kind: 'maglev', tableSize: 65_537, ...HASHING };
const byHeader: HashPolicy = { source: { kind: 'header', name: 'x-user' }, terminal: false };
const byChannel: HashPolicy = {
  source: { kind: 'filter-state', key: 'io.grpc.channel_id' },
  terminal: false,
};

describe('load balancing', () => {
  test('round robin: in turn', async () => {
    const answers = await askAll(clientFor({}), 9);
    expect(tally(answers)).toEqual({ a: 3, b: 3, c: 3 });
  });

  test('random: every host has its share', async () => {
    const shares = tally(await askAll(clientFor({ change: { lbPolicy: { kind: 'random' } } }), 60));
    expect(Object.keys(shares)).toEqual(['a', 'b', 'c']);
    expect(Math.min(...Object.values(shares))).toBeGreaterThan(5);
  });

  test('least request: a host that is busy gets no more', async () => {
    const lbPolicy: LbPolicy = {
      kind: 'least-request',
      choiceCount: 2,
      activeRequestBias: 1,
      fullScan: true,
    };
    const client = clientFor({ change: { lbPolicy } });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const one of shops.values()) one.hold = held;
    const first = ask(client);
    await until(() => [...shops.values()].some(({ calls }) => calls === 1));
    const busy = [...shops.values()].find(({ calls }) => calls === 1)?.name;
    for (const one of shops.values()) one.hold = undefined;
    expect(await askAll(client, 12)).not.toContain(busy);
    release();
    expect(await first).toBe(busy);
  });

  test.each([
    ['ring hash', RING],
    ['maglev', MAGLEV],
  ])('%s: a user stays with a host', async (_name, lbPolicy) => {
    const client = clientFor({ change: { lbPolicy }, action: { hashPolicies: [byHeader] } });
    const homes = new Set<string>();
    // Where hosts stand follows from their ports, which are others in each run: twelve users may all miss one of them.
    for (let user = 0; user < 12 || (homes.size < 3 && user < 100); user++) {
      const answers = await askAll(client, 3, { 'x-user': `user ${user}` });
      expect(new Set(answers).size).toBe(1);
      homes.add(answers[0] ?? '');
    }
    expect([...homes].sort()).toEqual(['a', 'b', 'c']);
  });

  test('A42: the calls of a channel go together, and those of others elsewhere', async () => {
    const mesh = meshFor({ change: { lbPolicy: RING }, action: { hashPolicies: [byChannel] } });
    const homes = new Set<string>();
    for (let i = 0; i < 25; i++) {
      const client = clientOf(mesh);
      const answers = await askAll(client, 3);
      expect(new Set(answers).size).toBe(1);
      homes.add(answers[0] ?? '');
      client.close();
    }
    expect(homes.size).toBeGreaterThan(1);
  });

  test('A42: a ring goes on to its next host where nobody listens', async () => {
    const endpoints = [endpoint(1), endpoint(shop('b').port)];
    const client = clientFor({
      endpoints,
      change: { lbPolicy: RING },
      action: { hashPolicies: [byHeader] },
    });
    for (let user = 0; user < 6; user++) expect(await ask(client, { 'x-user': `${user}` })).toBe('b');
  });

  test('pick first: one host has everything, and the next one when nobody listens there', async () => {
    const lbPolicy: LbPolicy = { kind: 'pick-first', shuffle: false };
    expect(tally(await askAll(clientFor({ change: { lbPolicy } }), 6))).toEqual({ a: 6 });
    const endpoints = [endpoint(1), endpoint(shop('b').port)];
    expect(tally(await askAll(clientFor({ endpoints, change: { lbPolicy } }), 4))).toEqual({ b: 4 });
  });

  test('weighted round robin: by what the servers report of themselves', async () => {
    const lbPolicy: LbPolicy = {
      kind: 'client-side-wrr',
      oobPeriodMs: undefined,
      blackoutMs: 0,
      expirationMs: 180_000,
      updateMs: 100,
      errorPenalty: 1,
      metricNames: [],
    };
    shop('a').utilization = 0.2;
    shop('b').utilization = 0.8;
    const endpoints = [endpoint(shop('a').port), endpoint(shop('b').port)];
    const client = clientFor({ endpoints, change: { lbPolicy } });
    await until(async () => {
      const shares = tally(await askAll(client, 20));
      return shares['a'] === 16 && shares['b'] === 4;
    });
  });

  test('subsets: the part of the hosts that the route asks for', async () => {
    const lbPolicy: LbPolicy = {
      kind: 'subset',
      fallback: 'none',
      defaultSubset: {},
      selectors: [{ keys: ['version'], fallback: undefined, fallbackKeys: [], singleHostPerSubset: false }],
      localityWeightAware: false,
      scaleLocalityWeight: false,
      panicModeAny: false,
      listAsAny: false,
      fallbackList: false,
      allowRedundantKeys: false,
      child: { kind: 'round-robin' },
    };
    const endpoints = names.map((name) => ({
      ...endpoint(shop(name).port),
      metadata: { 'envoy.lb': { version: name === 'a' ? 'old' : 'new' } },
    }));
    const to = (version: string) =>
      clientFor({ endpoints, change: { lbPolicy }, action: { metadataMatch: { version } } });
    expect(tally(await askAll(to('new'), 6))).toEqual({ b: 3, c: 3 });
    expect(tally(await askAll(to('none'), 1))).toEqual({ '!UNAVAILABLE': 1 });
  });

  test('session affinity: the cookie of an answer leads back to its host', async () => {
    const client = clientFor({
      filter: {
        kind: 'stateful-session',
        state: { kind: 'cookie', name: 'session', ttlSeconds: 60, path: '', attributes: [] },
        strict: false,
      },
    });
    const call = client.unaryCall({ fillServerId: true }, new grpc.Metadata(), {}, () => {});
    const [head] = (await once(call, 'metadata')) as [grpc.Metadata];
    const [cookie] = String(head.get('set-cookie')[0]).split(';');
    expect(cookie).toMatch(/^session=/);
    const answers = await askAll(client, 6, { cookie: cookie ?? '' });
    expect(new Set(answers).size).toBe(1);
    expect(call.getPeer()).toBe(`127.0.0.1:${shop(answers[0] ?? '').port}`);
  });
});

describe('hosts that fail', () => {
  const detector = { threshold: 5, enforcingPercent: 0 };
  const statistical = {
    minimumHosts: 5,
    requestVolume: 100,
    enforcingPercent: 0,
    enforcingLocalOriginPercent: 0,
  };
  const outlierDetection: Cluster['outlierDetection'] = {
    intervalMs: 10_000,
    baseEjectionTimeMs: 30_000,
    maxEjectionTimeMs: 300_000,
    maxEjectionTimeJitterMs: 0,
    maxEjectionPercent: 50,
    alwaysEjectOneHost: false,
    splitExternalLocalOriginErrors: false,
    consecutive5xx: { threshold: 2, enforcingPercent: 100 },
    consecutiveGatewayFailure: detector,
    consecutiveLocalOriginFailure: detector,
    successRate: { ...statistical, stdevFactor: 1900 },
    failurePercentage: { ...statistical, threshold: 85 },
    detectDegradedHosts: false,
  };

  test.each([
    ['UNAVAILABLE', true],
    ['INTERNAL', true],
    ['DATA_LOSS', true],
    ['NOT_FOUND', false],
    ['INVALID_ARGUMENT', false],
  ] as const)('%s: a host is ejected: %s', async (code, isEjected) => {
    shop('b').status = { code: grpc.status[code], details: 'as told' };
    const client = clientFor({ change: { outlierDetection } });
    await askAll(client, 9);
    const later = tally(await askAll(client, 6));
    expect(later).toEqual(isEjected ? { a: 3, c: 3 } : { a: 2, c: 2, [`!${code}`]: 2 });
  });

  const RETRY = {
    retryOn: ['unavailable'],
    numRetries: 2,
    perTryTimeoutMs: undefined,
    retriableStatusCodes: [],
    baseIntervalMs: 1,
    maxIntervalMs: 2,
    avoidPreviousHosts: true,
    hostSelectionAttempts: 5,
  } as const;

  test('an attempt that is late is made anew at another host; the last one ends the call', async () => {
    const within = (perTryTimeoutMs: number) =>
      clientFor({ action: { retryPolicy: { ...RETRY, perTryTimeoutMs } } });
    // Enough for an attempt at one that answers, however busy the machine is.
    const client = within(1500);
    await askAll(client, 3);
    shop('a').hold = new Promise(() => {});
    expect(new Set(await askAll(client, 3))).toEqual(new Set(['b', 'c']));
    for (const one of shops.values()) one.hold = new Promise(() => {});
    expect(await ask(within(50))).toBe('!DEADLINE_EXCEEDED');
  });

  test('hedging: a second attempt starts beside the one that is late, and wins', async () => {
    const hedge = {
      initialRequests: 1,
      additionalRequestChance: { numerator: 0, denominator: 100 as const },
      onPerTryTimeout: true,
    };
    const client = clientFor({ action: { hedge, retryPolicy: { ...RETRY, perTryTimeoutMs: 1500 } } });
    await askAll(client, 3);
    shop('a').hold = new Promise(() => {});
    expect(new Set(await askAll(client, 3))).toEqual(new Set(['b', 'c']));
  });

  test('breakers: what is too much is unavailable at once, and what is under way goes on', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const one of shops.values()) one.hold = held;
    const limits = { maxConnections: 10, maxPendingRequests: 10, maxRequests: 2, maxRetries: 1 };
    const thresholds = { ...limits, retryBudget: undefined };
    const client = clientFor({ change: { circuitBreakers: { default: thresholds, high: thresholds } } });
    const first = [ask(client), ask(client)];
    await until(() => [...shops.values()].reduce((sum, { calls }) => sum + calls, 0) === 2);
    expect(await askAll(client, 3)).toEqual(['!UNAVAILABLE', '!UNAVAILABLE', '!UNAVAILABLE']);
    release();
    expect((await Promise.all(first)).every((one) => /^[abc]$/.test(one))).toBe(true);
    expect(await ask(client)).toMatch(/^[abc]$/);
  });

  test('injected aborts have any status of gRPC', async () => {
    for (const code of [1, 3, 5, 8, 13, 15, 16]) {
      const client = clientFor({
        filter: {
          kind: 'fault',
          delay: undefined,
          abort: { status: { kind: 'grpc', code }, percentage: { numerator: 100, denominator: 100 } },
          upstreamCluster: '',
          headers: [],
          maxActiveFaults: undefined,
        },
      });
      expect(await ask(client)).toBe(`!${grpc.status[code]}`);
    }
  });

  test('a server that drains finishes its calls; the next ones go elsewhere, and none fails', async () => {
    const leaving = await open('leaving');
    const endpoints = [endpoint(leaving.port), endpoint(shop('a').port)];
    const mesh = meshFor({ endpoints });
    const client = clientOf(mesh);
    closers.push(() => client.close());
    expect(tally(await askAll(client, 4))).toEqual({ a: 2, leaving: 2 });
    let release = () => {};
    leaving.hold = new Promise((resolve) => {
      release = resolve;
    });
    const [held] = [ask(client), ask(client)];
    await until(() => leaving.calls === 3);
    const drained = new Promise((resolve) => leaving.server.tryShutdown(resolve));
    // It takes no connections, and has said GOAWAY on the one that there is.
    expect(new Set(await askAll(client, 6))).toEqual(new Set(['a']));
    release();
    await drained;
    expect(['leaving', 'a']).toContain(await held);
  });
});

describe('what answers carry', () => {
  test('grpc-status-details-bin comes as the server sent it', async () => {
    const metadata = new grpc.Metadata();
    const details = Buffer.from([8, 5, 18, 3, 0, 255, 200]);
    metadata.set('grpc-status-details-bin', details);
    metadata.add('x-more', 'and more');
    shop('a').status = { code: grpc.status.NOT_FOUND, details: 'no ☕ here', metadata };
    const client = clientFor({ endpoints: [endpoint(shop('a').port)] });
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      client.unaryCall({}, new grpc.Metadata(), {}, resolve);
    });
    expect(error?.details).toBe('no ☕ here');
    expect(error?.metadata.get('grpc-status-details-bin')).toEqual([details]);
    expect(error?.metadata.get('x-more')).toEqual(['and more']);
  });

  test('metadata may have 64 KiB; what has more is not sent, and its connection serves on', async () => {
    const client = clientFor({ endpoints: [endpoint(shop('a').port)] });
    const outcomeOf = (bytes: number) => {
      const metadata = new grpc.Metadata();
      metadata.set('x-grpc-test-echo-initial', 'x'.repeat(bytes));
      return new Promise<string>((resolve) => {
        client.emptyCall({}, metadata, {}, (error) => resolve(grpc.status[error?.code ?? 0] ?? ''));
      });
    };
    const call = client.fullDuplexCall();
    const ended = once(call, 'status');
    expect(await outcomeOf(40_000)).toBe('OK');
    // Bare grpc-js sends it, and the server breaks the connection with all calls on it.
    expect(await outcomeOf(100_000)).toBe('RESOURCE_EXHAUSTED');
    call.resume();
    call.end();
    expect((await ended)[0]).toMatchObject({ code: grpc.status.OK });
  });
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('not in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
