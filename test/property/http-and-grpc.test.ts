import { type experimental, Metadata, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { MeshChannel } from '../../src/bindings/grpc/channel.js';
import type { Cluster } from '../../src/model/cluster.js';
import { DEFAULT_THRESHOLDS } from '../../src/model/cluster.js';
import { type FilterConfig, NO_OVERRIDES } from '../../src/model/filter-config.js';
import type { LbPolicy } from '../../src/model/lb-policy.js';
import type { RetryPolicy } from '../../src/model/retry.js';
import type { Route, RouteAction } from '../../src/model/route.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { loadHashes } from '../../src/runtime/hash.js';
import { seededRandom } from '../../src/runtime/random.js';
import { bytesBody } from '../../src/service/body.js';
import { createExchange } from '../../src/service/context.js';
import type { Response } from '../../src/service/service.js';
import type { MemoryAnswer } from '../../src/testing/memory-transport.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../integration/support/static-mesh.js';
import { createDataPath, type DataPath } from '../unit/mesh/support.js';

// The same configuration decides the same for a request of HTTP and for a call of gRPC: where each attempt goes, when, and how
// it ends, apart from what the gRFCs say.

beforeAll(loadHashes);

const ORIGIN = 'http://shop:80';

/** What a host does with an attempt. */
type Fate = 'ok' | 'unavailable' | 'bug' | 'reset' | 'connect' | 'hangs';

/** One thing that a client asks, whichever it is. */
interface Ask {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Half open: [0, 1). */
  readonly draw: number;
  readonly pauseMs: number;
}

/** What came of it: how it ended, and the attempts with their times. */
interface Story {
  readonly end: string;
  readonly attempts: readonly (readonly [address: string, atMs: number])[];
}

interface Client {
  ask(path: DataPath, ask: Ask): Promise<string>;
  /** How its servers say so. */
  answer(fate: Fate): MemoryAnswer | Promise<MemoryAnswer>;
}

const hangs = new Promise<MemoryAnswer>(() => {});
const FAILURES = { reset: { failure: 'reset' }, connect: { failure: 'connect' } } as const;

const HTTP: Client = {
  async ask(path, { method, headers, draw }) {
    const context = createExchange('outbound', path.clock.now(), draw);
    const header = { ...headers, 'content-type': 'application/json' };
    return path
      .send(ORIGIN, { method: 'POST', path: method, header, context, body: bytesBody('{}') })
      .then(endOf, () => 'unavailable');
  },
  answer(fate) {
    if (fate === 'hangs') return hangs;
    if (fate === 'reset' || fate === 'connect') return FAILURES[fate];
    return { status: { ok: 200, unavailable: 503, bug: 501 }[fate] };
  },
};

const HTTP_ENDS: Readonly<Record<number, string>> = {
  200: 'ok',
  403: 'refused',
  404: 'no route',
  501: 'bug',
  503: 'unavailable',
  504: 'late',
};

const endOf = ({ status: code }: Response): string => HTTP_ENDS[code] ?? `HTTP ${code}`;

const GRPC_ENDS: Readonly<Record<number, string>> = {
  [status.OK]: 'ok',
  [status.PERMISSION_DENIED]: 'refused',
  [status.UNIMPLEMENTED]: 'bug',
  [status.UNAVAILABLE]: 'unavailable',
  [status.DEADLINE_EXCEEDED]: 'late',
};

const GRPC: Client = {
  ask(path, { method, headers, draw }) {
    const { clock } = path;
    const core = {
      clock,
      random: () => draw,
      lookup: (origin: string | URL) => path.table.lookup(origin),
      whenConfigured: async () => {},
    };
    const channel = new MeshChannel({ core }, 'shop:80', undefined, { 'grpc.enable_channelz': 0 });
    // What channels make has more to it than they declare.
    const call = channel.createCall(
      method,
      Number.POSITIVE_INFINITY,
      null,
      null,
      0,
    ) as experimental.CallStream;
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return new Promise((resolve) => {
      call.start(metadata, {
        onReceiveMetadata() {},
        onReceiveMessage: () => call.startRead(),
        onReceiveStatus: ({ code }) => resolve(GRPC_ENDS[code] ?? `gRPC ${code}`),
      });
      call.startRead();
      call.sendMessageWithContext({ flags: 0 }, Buffer.from('hello'));
      call.halfClose();
    });
  },
  answer(fate) {
    if (fate === 'hangs') return hangs;
    if (fate === 'reset' || fate === 'connect') return FAILURES[fate];
    const code = { ok: status.OK, unavailable: status.UNAVAILABLE, bug: status.UNIMPLEMENTED }[fate];
    return { status: 200, headers: { 'content-type': 'application/grpc', 'grpc-status': String(code) } };
  },
};

/** Asks one after the other; each has a minute. */
async function tell(
  client: Client,
  snapshot: Snapshot,
  asks: readonly Ask[],
  fates: ReadonlyMap<string, readonly Fate[]>,
): Promise<readonly Story[]> {
  const path = createDataPath(snapshot);
  const { clock, network } = path;
  const served = new Map<string, number>();
  const at: number[] = [];
  for (const [address, all] of fates) {
    network.serve(address, () => {
      const count = served.get(address) ?? 0;
      served.set(address, count + 1);
      at.push(clock.now());
      return client.answer(all[count % all.length] ?? 'ok');
    });
  }
  const stories: Story[] = [];
  for (const ask of asks) {
    network.forget();
    at.length = 0;
    const begin = clock.now();
    let end = 'hangs';
    void client.ask(path, ask).then((one) => {
      end = one;
    });
    await clock.advance(60_000);
    const attempts = network.attempts.map(({ address }, i) => [address, (at[i] ?? 0) - begin] as const);
    stories.push({ end, attempts });
    await clock.advance(ask.pauseMs);
  }
  return stories;
}

const RETRY: RetryPolicy = {
  retryOn: ['gateway-error', 'connect-failure', 'refused-stream', 'unavailable'],
  numRetries: 2,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
  avoidPreviousHosts: true,
  hostSelectionAttempts: 3,
};

const HASHING = { useHostname: false, balanceFactorPercent: 0, localityWeighted: false } as const;
const BALANCERS: readonly LbPolicy[] = [
  { kind: 'round-robin' },
  { kind: 'least-request', choiceCount: 2, activeRequestBias: 1 },
  { kind: 'random' },
  {
    kind: 'ring-hash',
    hashFunction: 'xx-hash',
    minimumRingSize: 64,
    maximumRingSize: 1024,
    ...HASHING,
  },
  { kind: 'maglev', tableSize: 251, ...HASHING },
  { kind: 'pick-first', shuffle: false },
];

const off = { threshold: 5, enforcingPercent: 0 };
const statistical = {
  minimumHosts: 5,
  requestVolume: 100,
  enforcingPercent: 0,
  enforcingLocalOriginPercent: 0,
};
const OUTLIERS: Cluster['outlierDetection'] = {
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionTimeJitterMs: 0,
  maxEjectionPercent: 50,
  alwaysEjectOneHost: false,
  splitExternalLocalOriginErrors: false,
  consecutive5xx: { threshold: 2, enforcingPercent: 100 },
  consecutiveGatewayFailure: off,
  consecutiveLocalOriginFailure: off,
  successRate: { ...statistical, stdevFactor: 1900 },
  failurePercentage: { ...statistical, threshold: 85 },
  detectDegradedHosts: false,
};

function abortOf(numerator: number): FilterConfig {
  return {
    kind: 'fault',
    delay: undefined,
    abort: { status: { kind: 'http', code: 503 }, percentage: { numerator, denominator: 100 } },
    upstreamCluster: '',
    headers: [],
    maxActiveFaults: undefined,
  };
}

function withFilter(snapshot: Snapshot, config: FilterConfig): Snapshot {
  const outbound = new Map(
    [...snapshot.outbound].map(([name, one]) => {
      const { http } = one.listener;
      const filters = [{ name: 'one', config }, ...http.filters];
      return [name, { ...one, listener: { ...one.listener, http: { ...http, filters } } }] as const;
    }),
  );
  return { ...snapshot, outbound };
}

const scenarios = () =>
  fc.record({
    balancer: fc.constantFrom(...BALANCERS),
    isHashed: fc.boolean(),
    action: fc.record({
      timeoutMs: fc.constantFrom(0, 2_000),
      maxStreamDurationMs: fc.constantFrom(undefined, undefined, 3_000),
      numRetries: fc.constantFrom(0, 1, 3),
      perTryTimeoutMs: fc.constantFrom(undefined, 500),
    }),
    weights: fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 3 })),
    ejects: fc.boolean(),
    maxRetries: fc.constantFrom(3, 0),
    abortPercent: fc.constantFrom(0, 0, 40),
    fates: fc.array(
      fc.array(fc.constantFrom<Fate>('ok', 'ok', 'ok', 'unavailable', 'bug', 'reset', 'connect', 'hangs'), {
        minLength: 1,
        maxLength: 4,
      }),
      { minLength: 4, maxLength: 4 },
    ),
    asks: fc.array(
      fc.record({
        method: fc.constantFrom('/shop.Cart/Add', '/shop.Cart/Get', '/other.Other/Get'),
        headers: fc.record({
          'x-user': fc.constantFrom('ada', 'bob', 'eve'),
          'x-beta': fc.constantFrom('yes', 'no'),
        }),
        draw: fc.double({ min: 0, max: 0.999, noNaN: true }),
        pauseMs: fc.constantFrom(0, 40_000),
      }),
      { minLength: 1, maxLength: 8 },
    ),
  });

type Scenario = typeof scenarios extends () => fc.Arbitrary<infer T> ? T : never;

function snapshotFor(scenario: Scenario): Snapshot {
  const { balancer, isHashed, action, weights, ejects, maxRetries, abortPercent } = scenario;
  const { numRetries, perTryTimeoutMs, ...limits } = action;
  const fields: Partial<RouteAction> = {
    ...limits,
    retryPolicy: { ...RETRY, numRetries, perTryTimeoutMs },
    ...(isHashed && { hashPolicies: [{ source: { kind: 'header', name: 'x-user' }, terminal: false }] }),
  };
  const [first, second] = weights;
  const beta = forward('v2', fields);
  const routes: Route[] = [
    {
      ...beta,
      match: {
        ...beta.match,
        headers: [
          {
            name: 'x-beta',
            match: { kind: 'string', matcher: { kind: 'exact', value: 'yes', ignoreCase: false } },
            invert: false,
            treatMissingAsEmpty: false,
          },
        ],
      },
    },
    {
      ...forward('', {
        ...fields,
        cluster: {
          kind: 'weighted',
          clusters: [
            { name: 'v1', weight: first, filterOverrides: NO_OVERRIDES },
            { name: 'v2', weight: second, filterOverrides: NO_OVERRIDES },
          ],
          totalWeight: first + second,
        },
      }),
      match: { ...beta.match, path: { kind: 'prefix', value: '/shop.Cart/', caseSensitive: true } },
    },
    forward('v1', fields),
  ];
  const change: Partial<Cluster> = {
    lbPolicy: balancer,
    outlierDetection: ejects ? OUTLIERS : undefined,
    circuitBreakers: {
      default: { ...DEFAULT_THRESHOLDS, maxRetries },
      high: DEFAULT_THRESHOLDS,
    },
  };
  const snapshot = snapshotOf(
    [host('shop:80', routes)],
    [
      cluster('v1', [endpoint(1), endpoint(2), endpoint(3)], change),
      cluster('v2', [endpoint(3), endpoint(4)], change),
    ],
  );
  return abortPercent === 0 ? snapshot : withFilter(snapshot, abortOf(abortPercent));
}

test('the same configuration decides the same for requests and for calls', async () => {
  await fc.assert(
    fc.asyncProperty(scenarios(), async (scenario) => {
      const snapshot = snapshotFor(scenario);
      const fates = new Map(scenario.fates.map((one, i) => [`127.0.0.1:${i + 1}`, one]));
      const [http, grpc] = [
        await tell(HTTP, snapshot, scenario.asks, fates),
        await tell(GRPC, snapshot, scenario.asks, fates),
      ];
      expect(grpc).toEqual(http);
    }),
    { numRuns: 60 },
  );
});

/** What becomes of one request and one call. */
async function both(
  snapshot: Snapshot,
  fates: ReadonlyMap<string, readonly Fate[]>,
  change: Partial<Ask> = {},
): Promise<readonly [http: Story, grpc: Story]> {
  const ask: Ask = { method: '/shop.Cart/Get', headers: {}, draw: 0.5, pauseMs: 0, ...change };
  const [[http], [grpc]] = [
    await tell(HTTP, snapshot, [ask], fates),
    await tell(GRPC, snapshot, [ask], fates),
  ];
  if (http === undefined || grpc === undefined) throw new Error('each is asked once');
  return [http, grpc];
}

const one = (fates: readonly Fate[]) => new Map([['127.0.0.1:1', fates]]);
const shop = (action: Partial<RouteAction>, ports: readonly number[] = [1], change: Partial<Cluster> = {}) =>
  snapshotOf(
    [host('shop:80', [forward('v1', action)])],
    [
      cluster(
        'v1',
        ports.map((port) => endpoint(port)),
        change,
      ),
    ],
  );

describe('what gRFCs say of calls', () => {
  test('A28: without a route a call is unavailable; a request is not found', async () => {
    const [http, grpc] = await both(snapshotOf([host('shop:80', [])], []), one(['ok']));
    expect([http.end, grpc.end]).toEqual(['no route', 'unavailable']);
  });

  test('A31: the timeout that nobody asked for is for requests only', async () => {
    const [http, grpc] = await both(shop({ timeoutMs: 15_000, timeoutIsDefault: true }), one(['hangs']));
    expect([http.end, grpc.end]).toEqual(['late', 'hangs']);
  });

  test('A31: time limits of the mesh are DEADLINE_EXCEEDED', async () => {
    for (const action of [
      { timeoutMs: 100 },
      { maxStreamDurationMs: 100 },
      { idleTimeoutMs: 100 },
      { retryPolicy: { ...RETRY, numRetries: 0, perTryTimeoutMs: 100 } },
    ] satisfies Partial<RouteAction>[]) {
      const [http, grpc] = await both(shop(action), one(['hangs']));
      expect([http.end, grpc.end]).toEqual(['late', 'late']);
    }
  });

  test('A42: a call without a connection asks another host of the ring at once, a request waits first', async () => {
    const ring = BALANCERS.find(({ kind }) => kind === 'ring-hash');
    const hashPolicies = [{ source: { kind: 'header', name: 'x-user' }, terminal: false }] as const;
    const snapshot = shop({ hashPolicies }, [1, 2, 3], { lbPolicy: ring ?? { kind: 'random' } });
    const up: Fate[] = ['ok'];
    const hosts = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'];
    const ask = { headers: { 'x-user': 'ada' } };
    const [healthy] = await both(snapshot, new Map(hosts.map((address) => [address, up])), ask);
    const home = healthy.attempts[0]?.[0];
    const fates = new Map(
      hosts.map((address): [string, Fate[]] => [address, address === home ? ['connect'] : up]),
    );
    const [http, grpc] = await both(snapshot, fates, ask);
    expect(grpc.end).toBe('ok');
    expect(grpc.attempts.map(([, at]) => at)).toEqual([0, 0]);
    expect(grpc.attempts[0]?.[0]).toBe(home);
    expect(http.attempts[0]?.[0]).toBe(home);
    expect(http.attempts[1]?.[1]).toBeGreaterThan(0);
  });

  test('A42: without a hash both go anywhere; the channel’s own hash is for calls', async () => {
    const hashPolicies = [
      { source: { kind: 'filter-state', key: 'io.grpc.channel_id' }, terminal: false },
    ] as const;
    const ring = BALANCERS.find(({ kind }) => kind === 'ring-hash') ?? { kind: 'random' };
    const snapshot = shop({ hashPolicies }, [1, 2, 3], { lbPolicy: ring });
    const up = new Map([1, 2, 3].map((port): [string, Fate[]] => [`127.0.0.1:${port}`, ['ok']]));
    const asks = Array.from(
      { length: 12 },
      (): Ask => ({
        method: '/shop.Cart/Get',
        headers: {},
        // Each call has a channel of its own here, and its ID follows from this.
        draw: 0.5,
        pauseMs: 0,
      }),
    );
    const hostsOf = (stories: readonly Story[]) => new Set(stories.map(({ attempts }) => attempts[0]?.[0]));
    expect(hostsOf(await tell(GRPC, snapshot, asks, up)).size).toBe(1);
    expect(hostsOf(await tell(HTTP, snapshot, asks, up)).size).toBeGreaterThan(1);
  });

  test('A44, A6: a call has five attempts at most, a request what its policy says', async () => {
    const retryPolicy = { ...RETRY, numRetries: 7 };
    const [http, grpc] = await both(shop({ retryPolicy }), one(['unavailable']));
    expect([http.attempts.length, grpc.attempts.length]).toEqual([8, 5]);
  });
});

describe('A31: how long a call may take', () => {
  const table: readonly (readonly [
    deadline: number | undefined,
    headerMax: number | undefined,
    duration: number | undefined,
    effective: number | undefined,
  ])[] = [
    [undefined, undefined, undefined, undefined],
    [undefined, undefined, 0, undefined],
    [undefined, undefined, 10, 10],
    [undefined, 0, 5, undefined],
    [undefined, 10, 5, 10],
    [20, undefined, undefined, 20],
    [20, undefined, 0, 20],
    [20, undefined, 10, 10],
    [20, 0, 5, 20],
    [20, 10, 5, 10],
    // The offset is for proxies.
    [5, 10, undefined, 5],
  ];
  test.each(table)(
    'deadline %s s, header max %s s, duration %s s: %s s',
    async (deadline, max, duration, effective) => {
      const ms = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);
      const path = createDataPath(
        shop({
          timeoutMs: 0,
          maxStreamDurationMs: ms(duration),
          ...(max !== undefined && { grpcTimeoutHeader: { maxMs: ms(max), offsetMs: 1000 } }),
        }),
      );
      const { clock, network } = path;
      network.serve('127.0.0.1:1', () => hangs);
      const core = {
        clock,
        random: seededRandom(1),
        lookup: (origin: string | URL) => path.table.lookup(origin),
        whenConfigured: async () => {},
      };
      const channel = new MeshChannel({ core }, 'shop:80', undefined, {});
      const until = deadline === undefined ? Number.POSITIVE_INFINITY : clock.wallTime() + deadline * 1000;
      const call = channel.createCall('/shop.Cart/Get', until, null, null, 0) as experimental.CallStream;
      let ended: readonly [code: number, at: number] | undefined;
      call.start(new Metadata(), {
        onReceiveMetadata() {},
        onReceiveMessage() {},
        onReceiveStatus({ code }) {
          ended = [code, clock.now()];
        },
      });
      call.halfClose();
      await clock.advance(60_000);
      expect(ended).toEqual(
        effective === undefined ? undefined : [status.DEADLINE_EXCEEDED, effective * 1000],
      );
      const told = network.attempts[0]?.request.headers.get('grpc-timeout');
      expect(told).toBe(effective === undefined ? undefined : `${effective * 1000}m`);
      channel.close();
    },
  );
});
