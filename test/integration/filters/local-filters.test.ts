import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createDispatchingFetch } from '../../../src/bindings/undici/fetch/create-fetch.js';
import { createFilterMemory } from '../../../src/filters/filter-memory.js';
import { callOut } from '../../../src/mesh/call-out.js';
import { inboundPolicyOf } from '../../../src/mesh/inbound-policy.js';
import { type FilterConfig, NO_OVERRIDES } from '../../../src/model/filter-config.js';
import { ALWAYS } from '../../../src/model/percent.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { configOf, createIssuer, providerOf, setOf, sign } from '../../unit/filters/jwt-fixtures.js';
import { startInbound } from '../inbound/support.js';
import { stop } from '../mesh/features-world.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

/** Filters that need nobody but themselves (and keys), over real sockets, on both sides. */

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  closers.push(() => stop(server));
  await once(server, 'listening');
  // A listening TCP server has an address of this form.
  return (server.address() as AddressInfo).port;
}

interface Setup {
  readonly filters: readonly FilterConfig[];
  readonly app?: RequestListener;
  /** Configuration of the filters in the route table. */
  readonly table?: readonly FilterConfig[];
  /** Serves keys. */
  readonly jwksPort?: number;
}

type Ask = (path?: string, init?: RequestInit) => Promise<Response>;

const hello: RequestListener = (_request, response) => response.end('hello');

const named = (configs: readonly FilterConfig[]) =>
  configs.map((config, index) => ({ name: `filter-${index}`, config }));

const overridesOf = (table: Setup['table']) =>
  table && new Map(table.map((config, index) => [`filter-${index}`, config]));

function jwksClusters(port: number | undefined) {
  return port === undefined ? [] : [cluster('keys', [endpoint(port)])];
}

async function outbound({ filters, app = hello, table, jwksPort }: Setup): Promise<Ask> {
  const port = await serve(app);
  const base = host('reviews:80', [forward('c')]);
  const { listener, routes } = base;
  const resolved = {
    listener: {
      ...listener,
      http: { ...listener.http, filters: [...named(filters), ...listener.http.filters] },
    },
    routes: routes && { ...routes, filterOverrides: overridesOf(table) },
  };
  const clusters = [cluster('c', [endpoint(port)]), ...jwksClusters(jwksPort)];
  const mesh = createStaticMesh(snapshotOf([resolved], clusters));
  closers.push(() => mesh.close());
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(() => dispatcher.close());
  const send = createDispatchingFetch(dispatcher);
  return (path = '/', init = {}) => send(`http://reviews${path}`, init);
}

async function inbound({ filters, app = hello, table, jwksPort }: Setup): Promise<Ask> {
  const mesh = createStaticMesh(snapshotOf([], jwksClusters(jwksPort)));
  closers.push(() => mesh.close());
  const clock = systemClock;
  const upstream = callOut((name) => mesh.clusters.get(name), { clock, observer: {} });
  const all = forward('none');
  const http = {
    filters: [...named(filters), { name: 'router', config: { kind: 'router' } as const }],
    routes: {
      kind: 'inline' as const,
      config: {
        name: 'inbound',
        filterOverrides: overridesOf(table),
        virtualHosts: [
          {
            name: 'inbound',
            domains: ['*'],
            routes: [{ ...all, action: { kind: 'non-forwarding' as const } }],
            retryPolicy: undefined,
            filterOverrides: NO_OVERRIDES,
            includeRequestAttemptCount: false,
          },
        ],
      },
    },
  };
  const server = await startInbound(app, { mode: 'disable' });
  closers.push(() => server.close());
  server.policy.set(
    inboundPolicyOf(
      {
        kind: 'inbound',
        name: 'inbound',
        address: undefined,
        filterChains: [{ name: 'plaintext', transportProtocol: 'raw_buffer', tls: undefined, http }],
      },
      {
        clock,
        random: seededRandom(1),
        node: { id: 'n', cluster: 'c' },
        upstream,
        filterMemory: createFilterMemory(),
      },
    ),
  );
  return (path = '/', init = {}) => fetch(server.url + path, init);
}

const SIDES: readonly (readonly [string, (setup: Setup) => Promise<Ask>])[] = [
  ['outbound', outbound],
  ['inbound', inbound],
];

const FAULT: FilterConfig = {
  kind: 'fault',
  delay: { fixedMs: undefined, percentage: ALWAYS },
  abort: { status: { kind: 'header' }, percentage: ALWAYS },
  responseRate: { limitKbps: undefined, percentage: ALWAYS },
  upstreamCluster: '',
  headers: [],
  maxActiveFaults: undefined,
};

const LIMIT: FilterConfig = {
  kind: 'local-rate-limit',
  statPrefix: 'limit',
  status: 429,
  bucket: { maxTokens: 2, tokensPerFill: 1, fillIntervalMs: 3_600_000 },
  enabled: ALWAYS,
  enforced: ALWAYS,
  requestHeadersWhenNotEnforced: [],
  responseHeaders: [],
  descriptors: [],
  maxDynamicDescriptors: 20,
  stage: 0,
  rateLimits: undefined,
  virtualHostRateLimits: 'override',
  perConnection: false,
  rateLimitHeaders: false,
  alwaysConsumeDefault: true,
  resourceExhausted: false,
};

const rbacFor = (user: string): FilterConfig => ({
  kind: 'rbac',
  rules: {
    action: 'allow',
    policies: [
      {
        name: 'known',
        permissions: [{ kind: 'any' }],
        principals: [
          {
            kind: 'header',
            matcher: {
              name: 'x-user',
              match: { kind: 'string', matcher: { kind: 'exact', value: user, ignoreCase: false } },
              invert: false,
              treatMissingAsEmpty: false,
            },
          },
        ],
      },
    ],
  },
  shadowRules: undefined,
  rulesStatPrefix: '',
  shadowRulesStatPrefix: '',
  trackPerRuleStats: false,
});

const as = (user: string): RequestInit => ({ headers: { 'x-user': user } });

describe.each(SIDES)('%s', (_side, start) => {
  test('faults that callers ask for: abort, delay, a slow response', async () => {
    const body = 'x'.repeat(300);
    const ask = await start({ filters: [FAULT], app: (_request, response) => response.end(body) });
    const fault = (name: string, value: string): RequestInit => ({
      headers: { [`x-envoy-fault-${name}`]: value },
    });
    const aborted = await ask('/', fault('abort-request', '418'));
    expect([aborted.status, await aborted.text()]).toEqual([418, 'fault filter abort']);
    const begin = performance.now();
    expect((await ask('/', fault('delay-request', '80'))).status).toBe(200);
    expect(performance.now() - begin).toBeGreaterThan(75);
    const slowly = performance.now();
    const slow = await ask('/', fault('throughput-response', '1'));
    // 51 bytes at once, then as many each 50 ms.
    expect(await slow.text()).toBe(body);
    expect(performance.now() - slowly).toBeGreaterThan(200);
    expect((await ask()).status).toBe(200);
  });

  test('a local rate limit', async () => {
    const ask = await start({ filters: [LIMIT] });
    const answers = [await ask(), await ask(), await ask()];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(await answers[2]?.text()).toBe('local_rate_limited');
  });

  test('RBAC, and configuration of the whole route table in its place', async () => {
    const ask = await start({ filters: [rbacFor('jason')] });
    expect([(await ask('/', as('jason'))).status, (await ask('/', as('eve'))).status]).toEqual([200, 403]);
    const rbac = rbacFor('eve');
    if (rbac.kind !== 'rbac') throw new Error('it is no RBAC');
    const other = await start({ filters: [rbacFor('jason')], table: [{ kind: 'rbac-route', rbac }] });
    expect([(await other('/', as('jason'))).status, (await other('/', as('eve'))).status]).toEqual([
      403, 200,
    ]);
    const off = await start({ filters: [rbacFor('jason')], table: [{ kind: 'disabled' }] });
    expect((await off()).status).toBe(200);
  });

  test('buffer, compressor and decompressor', async () => {
    const text = 'compress me '.repeat(100);
    const app: RequestListener = (request, response) => {
      response.setHeader('content-type', 'text/plain');
      response.setHeader('x-length', request.headers['content-length'] ?? 'none');
      response.end(text);
    };
    const compressor: FilterConfig = {
      kind: 'compressor',
      name: 'text',
      library: { kind: 'gzip', level: 0, memoryLevel: 5, strategy: 0, windowBits: 12, chunkBytes: 4096 },
      request: undefined,
      response: {
        enabled: true,
        minLength: 30,
        contentTypes: [],
        disableOnEtag: false,
        removeAcceptEncoding: true,
      },
      chooseFirst: false,
    };
    const ask = await start({ filters: [compressor, { kind: 'buffer', maxRequestBytes: 1000 }], app });
    // fetch decompresses by itself: what it shows is the text, and the header that says how it came.
    const response = await ask('/', { method: 'POST', body: 'hello' });
    expect([response.headers.get('content-encoding'), response.headers.get('x-length')]).toEqual([
      'gzip',
      '5',
    ]);
    expect(await response.text()).toBe(text);
    const long = await ask('/', { method: 'POST', body: 'x'.repeat(2000) });
    expect([long.status, long.headers.get('x-inmesh-reason')]).toEqual([413, 'INMESH_BODY_TOO_LARGE']);
  });
});

/** A server of keys that does what a test tells it. */
class Keys {
  port = 0;
  fetches = 0;
  answer: (response: ServerResponse) => void = (response) => response.end('{}');

  async start(): Promise<this> {
    this.port = await serve((_request, response) => {
      this.fetches++;
      this.answer(response);
    });
    return this;
  }
}

const jwt = (): FilterConfig =>
  configOf({
    p: providerOf('', {
      jwks: {
        kind: 'remote',
        uri: { uri: 'http://keys/jwks', cluster: 'keys', timeoutMs: 300 },
        cacheDurationMs: 600_000,
        asyncFetch: undefined,
        retry: undefined,
      },
    }),
  });

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

describe.each(SIDES)('%s, JWT', (_side, start) => {
  test('a server of keys that is slow is waited for, once for all', async () => {
    const issuer = await createIssuer();
    const keys = await new Keys().start();
    const waiting: ServerResponse[] = [];
    keys.answer = (response) => {
      waiting.push(response);
      setTimeout(() => response.end(setOf(issuer.jwk)), 50);
    };
    const ask = await start({ filters: [jwt()], jwksPort: keys.port });
    const authorization = `Bearer ${await sign(issuer, { exp: inAnHour() })}`;
    const answers = await Promise.all([1, 2, 3].map(() => ask('/', { headers: { authorization } })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect([keys.fetches, waiting.length]).toEqual([1, 1]);
    expect((await ask('/', { headers: { authorization: `${authorization}x` } })).status).toBe(401);
    expect((await ask()).status).toBe(401);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ['garbage', (response) => response.end('<html>not keys</html>')],
    ['an error', (response) => response.writeHead(500).end('no')],
    ['nothing, ever', () => {}],
    ['a body that never ends', (response) => void response.write('{"keys":[')],
    ['a body without end', (response) => flood(response)],
    ['a broken connection', (response) => void response.destroy()],
  ])('keys that are %s let nobody in, and a good answer later does', async (_what, answer) => {
    const issuer = await createIssuer();
    const keys = await new Keys().start();
    keys.answer = answer;
    const ask = await start({ filters: [jwt()], jwksPort: keys.port });
    const authorization = `Bearer ${await sign(issuer, { exp: inAnHour() })}`;
    const refused = await ask('/', { headers: { authorization } });
    expect([refused.status, await refused.text()]).toEqual([401, 'Jwks remote fetch is failed']);
    keys.answer = (response) => response.end(setOf(issuer.jwk));
    const response = await ask('/', { headers: { authorization } });
    expect([response.status, await response.text()]).toEqual([200, 'hello']);
  });
});

/** Writes on and on, as fast as it is read. */
function flood(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, ' ');
  const endless = new Readable({
    read() {
      this.push(chunk);
    },
  });
  pipeline(endless, response, () => {});
}
