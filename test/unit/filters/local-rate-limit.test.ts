import { describe, expect, test } from 'vitest';
import { buildFilters } from '../../../src/filters/builtin.js';
import type { FilterTools } from '../../../src/filters/filter.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type { LocalRateLimitConfig } from '../../../src/model/local-rate-limit.js';
import { ALWAYS } from '../../../src/model/percent.js';
import type { RateLimit } from '../../../src/model/rate-limit.js';
import { compose, type Request, type Service } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const CONFIG: LocalRateLimitConfig = {
  kind: 'local-rate-limit',
  statPrefix: 'test',
  status: 429,
  bucket: { maxTokens: 1, tokensPerFill: 1, fillIntervalMs: 1000 },
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
const NAME = 'limit';

/** The stack of one route with this filter. */
function stack(
  config: LocalRateLimitConfig,
  tools: FilterTools,
  ...levels: (FilterConfig | undefined)[]
): Service {
  const overrides = levels.map((level) => new Map(level === undefined ? [] : [[NAME, level] as const]));
  const filters = buildFilters([{ name: NAME, config }], overrides, tools);
  return compose(filters, async () => makeResponse(200));
}

const limitBy = (header: string): RateLimit => ({
  stage: 0,
  disableKey: '',
  actions: [{ kind: 'request-header', name: header, key: header, skipIfAbsent: false }],
  limit: undefined,
  hits: undefined,
  onStreamDone: false,
  rateLimitHeaders: undefined,
});

async function statuses(service: Service, ...requests: Request[]): Promise<number[]> {
  const all: number[] = [];
  for (const request of requests) all.push((await service(request)).status);
  return all;
}

describe('the local rate limit', () => {
  test('is shared with the other members of the local cluster, as many as they are now', async () => {
    const clock = createFakeClock();
    let members = 0;
    const tools = { ...filterTools(clock), localMembers: () => members };
    const bucket = { maxTokens: 16, tokensPerFill: 16, fillIntervalMs: 1000 };
    const service = stack({ ...CONFIG, bucket, localClusterShare: true }, tools);
    const passed = async () => {
      const all = await statuses(service, ...Array.from({ length: 20 }, () => makeRequest()));
      await clock.advance(2000);
      return all.filter((status) => status === 200).length;
    };
    // While nobody is known, this process is alone.
    expect(await passed()).toBe(16);
    members = 4;
    expect(await passed()).toBe(4);
    members = 8;
    expect(await passed()).toBe(2);
    members = 17;
    expect(await passed()).toBe(0);
  });

  test('refuses what the bucket has no token for, with Envoy’s answer', async () => {
    const clock = createFakeClock();
    const service = stack(CONFIG, filterTools(clock));
    await service(makeRequest());
    const request = makeRequest();
    const response = await service(request);
    expect(response).toMatchObject({
      status: 429,
      body: { kind: 'bytes', bytes: 'local_rate_limited' },
      local: { reason: 'INMESH_RATE_LIMITED', details: 'local_rate_limited' },
    });
    expect(request.context.flags).toEqual(['RL']);
    await clock.advance(1000);
    expect(await statuses(service, makeRequest())).toEqual([200]);
  });

  test.each([
    [{ enabled: undefined }],
    [{ enforced: undefined }],
    [{ enabled: { numerator: 0, denominator: 100 } as const }],
    [{ bucket: undefined }],
  ])('does nothing with %j', async (change) => {
    const service = stack({ ...CONFIG, ...change }, filterTools(createFakeClock()));
    expect(await statuses(service, makeRequest(), makeRequest(), makeRequest())).toEqual([200, 200, 200]);
  });

  test('a bucket of nothing refuses everything', async () => {
    const bucket = { maxTokens: 0, tokensPerFill: 1, fillIntervalMs: 1000 };
    expect(
      await statuses(stack({ ...CONFIG, bucket }, filterTools(createFakeClock())), makeRequest()),
    ).toEqual([429]);
  });

  test('what is not enforced goes on, marked', async () => {
    const config: LocalRateLimitConfig = {
      ...CONFIG,
      enforced: undefined,
      requestHeadersWhenNotEnforced: [
        { name: 'x-over', value: 'yes', action: 'append-if-exists-or-add', keepEmpty: false },
      ],
    };
    const service = stack(config, filterTools(createFakeClock()));
    const [first, second] = [makeRequest(), makeRequest()];
    expect(await statuses(service, first, second)).toEqual([200, 200]);
    expect([first.headers.get('x-over'), second.headers.get('x-over')]).toEqual([undefined, 'yes']);
  });

  test('gRPC callers hear UNAVAILABLE, or RESOURCE_EXHAUSTED on demand', async () => {
    const call = async (resourceExhausted: boolean) => {
      const service = stack({ ...CONFIG, resourceExhausted }, filterTools(createFakeClock()));
      await service(makeRequest());
      const response = await service(makeRequest({ header: { 'content-type': 'application/grpc' } }));
      return [response.status, response.headers.get('grpc-status')];
    };
    expect(await call(false)).toEqual([200, '14']);
    expect(await call(true)).toEqual([200, '8']);
  });

  test('answers carry the configured headers and tell the limit', async () => {
    const config: LocalRateLimitConfig = {
      ...CONFIG,
      status: 503,
      bucket: { maxTokens: 2, tokensPerFill: 1, fillIntervalMs: 10_000 },
      rateLimitHeaders: true,
      responseHeaders: [
        { name: 'x-why', value: 'limit', action: 'append-if-exists-or-add', keepEmpty: false },
      ],
    };
    const service = stack(config, filterTools(createFakeClock()));
    const shown = async () => {
      const { status, headers } = await service(makeRequest());
      const names = ['x-why', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'];
      return [status, ...names.map((name) => headers.get(name))];
    };
    expect(await shown()).toEqual([200, undefined, '2', '1', '0']);
    expect(await shown()).toEqual([200, undefined, '2', '0', '10']);
    expect(await shown()).toEqual([503, 'limit', '2', '0', '10']);
  });

  test('descriptors of the route have buckets of their own, one per value where it is open', async () => {
    const config: LocalRateLimitConfig = {
      ...CONFIG,
      bucket: undefined,
      descriptors: [
        {
          entries: [{ key: 'x-user', value: '' }],
          bucket: { maxTokens: 1, tokensPerFill: 1, fillIntervalMs: 1000 },
          shadow: false,
        },
      ],
    };
    const tools = filterTools(createFakeClock());
    const rateLimits = { route: [limitBy('x-user')], virtualHost: [], includeVirtualHost: false };
    const service = stack(config, { ...tools, rateLimits });
    const from = (user: string) => makeRequest({ header: { 'x-user': user } });
    expect(await statuses(service, from('a'), from('a'), from('b'), makeRequest())).toEqual([
      200, 429, 200, 200,
    ]);
  });

  test('a limit of a route with a disable key is passed over; the filter’s own limits go before those of routes', async () => {
    const descriptors = [
      {
        entries: [{ key: 'x-user', value: 'a' }],
        bucket: { maxTokens: 0, tokensPerFill: 1, fillIntervalMs: 1000 },
        shadow: false,
      },
    ];
    const tools = filterTools(createFakeClock());
    const route = [{ ...limitBy('x-user'), disableKey: 'off' }];
    const withRoute = { ...tools, rateLimits: { route, virtualHost: [], includeVirtualHost: false } };
    const request = () => makeRequest({ header: { 'x-user': 'a' } });
    const config = { ...CONFIG, bucket: undefined, descriptors };
    expect(await statuses(stack(config, withRoute), request())).toEqual([200]);
    expect(await statuses(stack({ ...config, rateLimits: [limitBy('x-user')] }, tools), request())).toEqual([
      429,
    ]);
  });

  test('a descriptor in shadow mode counts and refuses nothing', async () => {
    const tools = filterTools(createFakeClock());
    const descriptors = [
      {
        entries: [{ key: 'x-user', value: 'a' }],
        bucket: { maxTokens: 0, tokensPerFill: 1, fillIntervalMs: 1000 },
        shadow: true,
      },
    ];
    const config = { ...CONFIG, descriptors, rateLimits: [limitBy('x-user')] };
    expect(await statuses(stack(config, tools), makeRequest({ header: { 'x-user': 'a' } }))).toEqual([200]);
    expect(tools.memory.counter('test.http_local_rate_limit.shadow_mode').value).toBe(1);
  });

  test('all routes share the filter’s bucket; a route’s own configuration has its own', async () => {
    const tools = filterTools(createFakeClock());
    const own = { ...CONFIG };
    const [first, second, third] = [
      stack(CONFIG, tools),
      stack(CONFIG, tools),
      stack(CONFIG, tools, undefined, own),
    ];
    expect(await statuses(first, makeRequest())).toEqual([200]);
    expect(await statuses(second, makeRequest())).toEqual([429]);
    expect(await statuses(third, makeRequest(), makeRequest())).toEqual([200, 429]);
  });

  test('each connection has its bucket when asked for', async () => {
    const service = stack({ ...CONFIG, perConnection: true }, filterTools(createFakeClock()));
    const on = (connection: Request['context']['connection']) => {
      const request = makeRequest();
      request.context.connection = connection;
      return request;
    };
    const [one, two] = [1, 2].map((id) => ({
      id,
      directRemote: undefined,
      remote: undefined,
      local: undefined,
      tls: undefined,
    }));
    expect(await statuses(service, on(one), on(one), on(two), on(two))).toEqual([200, 429, 200, 429]);
  });

  test('counts by Envoy’s names', async () => {
    const tools = filterTools(createFakeClock());
    await statuses(stack(CONFIG, tools), makeRequest(), makeRequest(), makeRequest());
    const counted = [...tools.memory.counters].map(([name, { value }]) => [name.replace(/^.*\./, ''), value]);
    expect(Object.fromEntries(counted)).toEqual({
      enabled: 3,
      ok: 1,
      rate_limited: 2,
      enforced: 2,
      shadow_mode: 0,
    });
  });
});

describe('filters that are disabled', () => {
  const tools = () => filterTools(createFakeClock());
  const denyAll = { ...CONFIG, bucket: { maxTokens: 0, tokensPerFill: 1, fillIntervalMs: 1000 } };

  test('at a route, are left out there; a more specific level turns them on again', async () => {
    expect(await statuses(stack(denyAll, tools(), { kind: 'disabled' }), makeRequest())).toEqual([200]);
    expect(
      await statuses(stack(denyAll, tools(), { ...denyAll }, { kind: 'disabled' }), makeRequest()),
    ).toEqual([429]);
    expect(
      await statuses(stack(denyAll, tools(), { kind: 'disabled' }, { ...denyAll }), makeRequest()),
    ).toEqual([200]);
  });

  test('in the list, work only where a route configures them', async () => {
    const run = (override?: FilterConfig) => {
      const overrides = [new Map(override === undefined ? [] : [[NAME, override] as const])];
      const filters = buildFilters([{ name: NAME, config: denyAll, disabled: true }], overrides, tools());
      return statuses(
        compose(filters, async () => makeResponse(200)),
        makeRequest(),
      );
    };
    expect(await run()).toEqual([200]);
    expect(await run({ ...denyAll })).toEqual([429]);
  });
});
