import { toJson } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';
import { buildFilters } from '../../../src/filters/builtin.js';
import type { FilterTools } from '../../../src/filters/filter.js';
import type { RouteRateLimits } from '../../../src/filters/route-rate-limits.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type {
  GlobalRateLimitConfig,
  GlobalRateLimitRouteConfig,
} from '../../../src/model/global-rate-limit.js';
import type { RateLimit } from '../../../src/model/rate-limit.js';
import { rateLimitService } from '../../../src/proto/xds.js';
import { compose, type Request, type Response, type Service } from '../../../src/service/service.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';
import { FakeRateLimits, OVER_LIMIT } from './fake-rate-limits.js';
import { filterTools, makeRequest, makeResponse, openResponse } from './support.js';

const CONFIG: GlobalRateLimitConfig = {
  kind: 'global-rate-limit',
  domain: 'shop',
  stage: 0,
  requests: 'both',
  timeoutMs: 20,
  failureModeDeny: false,
  failureModeDenyPercent: undefined,
  resourceExhausted: false,
  service: {
    cluster: 'limits',
    authority: '',
    timeoutMs: undefined,
    initialMetadata: [],
    maxReceiveBytes: undefined,
  },
  rateLimitHeaders: false,
  rateLimitedHeader: true,
  status: 429,
  responseHeaders: [],
  statusOnError: 500,
  statPrefix: '',
  enabled: undefined,
  enforced: undefined,
  rateLimits: undefined,
};
const ROUTE: GlobalRateLimitRouteConfig = {
  kind: 'global-rate-limit-route',
  virtualHostRateLimits: 'override',
  rateLimits: undefined,
  domain: '',
};
const NEVER = { numerator: 0, denominator: 100 } as const;
const NAME = 'limits';
const PREFIX = 'cluster.outbound|9080|v1|reviews.default.svc.cluster.local.ratelimit';

const limitBy = (value: string, change: Partial<RateLimit> = {}): RateLimit => ({
  stage: 0,
  disableKey: '',
  actions: [{ kind: 'generic-key', key: 'k', value, defaultValue: '' }],
  limit: undefined,
  hits: undefined,
  onStreamDone: false,
  rateLimitHeaders: undefined,
  ...change,
});
const limits = (
  route: readonly RateLimit[],
  virtualHost: readonly RateLimit[] = [],
  includeVirtualHost = false,
): RouteRateLimits => ({ route, virtualHost, includeVirtualHost });

let fake: FakeRateLimits;
let clock: FakeClock;
let tools: FilterTools;
let sent: Request[];
beforeEach(() => {
  fake = new FakeRateLimits();
  clock = createFakeClock();
  sent = [];
  tools = {
    ...filterTools(clock),
    rateLimits: limits([limitBy('a')]),
    upstream: () => fake.service,
  };
});

function stack(
  config: Partial<GlobalRateLimitConfig> = {},
  levels: readonly FilterConfig[] = [],
  upstream: Service = async () => makeResponse(200),
): Service {
  const overrides = levels.map((level) => new Map([[NAME, level]]));
  const filters = buildFilters([{ name: NAME, config: { ...CONFIG, ...config } }], overrides, tools);
  return compose(filters, (request) => {
    sent.push(request);
    return upstream(request);
  });
}

/** What the service was asked: the values of the entries of each descriptor. */
const askedValues = () =>
  fake.asked.map(({ descriptors }) =>
    descriptors.map(({ entries }) => entries.map(({ value }) => value).join()),
  );
const counters = () =>
  Object.fromEntries([...tools.memory.counters].map(([name, { value }]) => [name, value]));

describe('the question to the rate limit service', () => {
  test('has the domain and every descriptor', async () => {
    tools = {
      ...tools,
      rateLimits: limits([
        limitBy('a', { hits: { count: 5, isRefund: true } }),
        limitBy('b', { limit: { namespace: 'limits', keys: ['own'] } }),
      ]),
    };
    const request = makeRequest();
    request.context.dynamicMetadata = new Map([['limits', { own: { requests_per_unit: 7, unit: 'WEEK' } }]]);
    await stack()(request);
    const [asked] = fake.asked.map((one) => toJson(rateLimitService.RateLimitRequestSchema, one));
    expect(asked).toEqual({
      domain: 'shop',
      descriptors: [
        { entries: [{ key: 'k', value: 'a' }], hitsAddend: '5', isNegativeHits: true },
        { entries: [{ key: 'k', value: 'b' }], limit: { requestsPerUnit: 7, unit: 'WEEK' } },
      ],
    });
    expect(fake.requests[0]).toMatchObject({
      method: 'POST',
      path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit',
      authority: 'limits',
    });
    expect(counters()).toMatchObject({ [`${PREFIX}.ok`]: 1 });
  });

  test.each([
    [
      'filter state',
      (request: Request) => (request.context.filterState = new Map([['envoy.ratelimit.hits_addend', '3']])),
    ],
    [
      'dynamic metadata',
      (request: Request) =>
        (request.context.dynamicMetadata = new Map([['envoy.ratelimit', { hits_addend: 3 }]])),
    ],
  ])('counts the hits that %s says', async (_place, put) => {
    const request = makeRequest();
    put(request);
    await stack()(request);
    expect(fake.asked[0]?.hitsAddend).toBe(3);
  });

  test('is not asked without descriptors, nor where nothing is forwarded', async () => {
    tools = {
      ...tools,
      rateLimits: limits([
        limitBy('a', {
          actions: [{ kind: 'request-header', name: 'x-user', key: 'u', skipIfAbsent: false }],
        }),
      ]),
    };
    await stack()(makeRequest());
    tools = { ...tools, clusterName: undefined };
    await stack({ rateLimits: [limitBy('a')] })(makeRequest());
    expect(fake.asked).toEqual([]);
    expect(sent).toHaveLength(2);
  });

  test('is asked for requests to servers, too', async () => {
    tools = {
      ...tools,
      clusterName: undefined,
      direction: 'inbound',
      rateLimits: limits([], [limitBy('vh')]),
    };
    await stack()(makeRequest());
    expect(askedValues()).toEqual([['vh']]);
    expect(counters()).toMatchObject({ 'ratelimit.ok': 1 });
  });

  test.each([
    ['internal', 'true', 1],
    ['internal', undefined, 0],
    ['internal', 'false', 0],
    ['external', 'true', 0],
    ['external', undefined, 1],
    ['both', 'true', 1],
  ] as const)('of a filter for %s requests, with x-envoy-internal %s', async (requests, header, times) => {
    await stack({ requests })(
      makeRequest({ header: header === undefined ? {} : { 'x-envoy-internal': header } }),
    );
    expect(fake.asked).toHaveLength(times);
  });

  test('is asked for the share of requests that is enabled', async () => {
    const service = stack({ enabled: { numerator: 50, denominator: 100 } });
    for (let i = 0; i < 200; i++) await service(makeRequest());
    expect(fake.asked.length).toBeGreaterThan(70);
    expect(fake.asked.length).toBeLessThan(130);
    await stack({ enabled: NEVER })(makeRequest());
    expect(sent).toHaveLength(201);
  });
});

describe('the limits that make descriptors', () => {
  const route = limitBy('route');
  const vh = limitBy('vh');

  test.each([
    ['override', [route], [vh], false, [['route']]],
    ['override', [], [vh], false, [['vh']]],
    ['include', [route], [vh], false, [['route', 'vh']]],
    ['ignore', [route], [vh], false, [['route']]],
    ['ignore', [], [vh], false, []],
    ['ignore', [route], [vh], true, [['route', 'vh']]],
  ] as const)('with the virtual host’s: %s, %#', async (mode, ofRoute, ofHost, includes, expected) => {
    tools = { ...tools, rateLimits: limits(ofRoute, ofHost, includes) };
    await stack({}, [{ ...ROUTE, virtualHostRateLimits: mode }])(makeRequest());
    expect(askedValues()).toEqual(expected);
  });

  test('are those of the filter’s stage; a runtime key switches nothing off', async () => {
    tools = {
      ...tools,
      rateLimits: limits([limitBy('0'), limitBy('1', { stage: 1, disableKey: 'off' })]),
    };
    await stack({ stage: 1 })(makeRequest());
    expect(askedValues()).toEqual([['1']]);
  });

  test('of the route’s configuration go before those of the filter, and these before those of routes', async () => {
    await stack({ stage: 1, rateLimits: [limitBy('filter')] })(makeRequest());
    await stack({ rateLimits: [limitBy('filter')] }, [{ ...ROUTE, rateLimits: [limitBy('own')] }])(
      makeRequest(),
    );
    expect(askedValues()).toEqual([['filter'], ['own']]);
  });

  test('are looked up under the domain of the most specific override alone', async () => {
    await stack({}, [{ ...ROUTE, domain: 'route' }])(makeRequest());
    await stack({}, [ROUTE, { ...ROUTE, domain: 'virtual host' }])(makeRequest());
    expect(fake.asked.map(({ domain }) => domain)).toEqual(['route', 'shop']);
  });
});

describe('a request over the limit', () => {
  beforeEach(() => {
    fake.answer = { overallCode: OVER_LIMIT };
  });

  test('is refused with Envoy’s answer', async () => {
    const request = makeRequest();
    const response = await stack()(request);
    expect(response).toMatchObject({
      status: 429,
      body: { kind: 'empty' },
      local: { reason: 'INMESH_RATE_LIMITED', details: 'request_rate_limited' },
    });
    expect([...response.headers]).toContainEqual(['x-envoy-ratelimited', 'true']);
    expect(request.context.flags).toEqual(['RL']);
    expect(sent).toEqual([]);
    expect(counters()).toMatchObject({ [`${PREFIX}.over_limit`]: 1, [`${PREFIX}.ok`]: 0 });
  });

  test('gets the configured status and headers, without the mark that keeps callers from retrying', async () => {
    const response = await stack({
      status: 503,
      rateLimitedHeader: false,
      responseHeaders: [
        { name: 'x-why', value: '%RESPONSE_CODE%', action: 'add-if-absent', keepEmpty: false },
      ],
      statPrefix: 'own',
    })(makeRequest());
    expect(response.status).toBe(503);
    expect(response.headers.get('x-why')).toBe('503');
    expect(response.headers.has('x-envoy-ratelimited')).toBe(false);
    expect(counters()).toMatchObject({ [`${PREFIX}.own.over_limit`]: 1 });
  });

  test('gets what the service says: body, content type, headers, limits', async () => {
    fake.answer = {
      overallCode: OVER_LIMIT,
      rawBody: Buffer.from([0x7b, 0xff, 0x7d]),
      responseHeadersToAdd: [
        { key: 'Content-Type', value: 'application/json' },
        { key: 'x-plan', value: 'free' },
        { key: 'bad name', value: 'x' },
        { key: 'x-bad', value: 'a\r\nb' },
      ],
      statuses: [
        {
          currentLimit: { requestsPerUnit: 10, unit: 2 },
          limitRemaining: 0,
          durationUntilReset: { seconds: 30n },
        },
      ],
    };
    const response = await stack({ rateLimitHeaders: true })(makeRequest());
    expect(response.body).toMatchObject({ kind: 'bytes', bytes: Buffer.from([0x7b, 0xff, 0x7d]) });
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-length': '3',
      'content-type': 'application/json',
      'x-inmesh-reason': 'INMESH_RATE_LIMITED',
      'x-plan': 'free',
      'x-envoy-ratelimited': 'true',
      'x-ratelimit-limit': '10, 10;w=60',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': '30',
    });
  });

  test('without body says no more to HEAD', async () => {
    fake.answer = { overallCode: OVER_LIMIT, rawBody: Buffer.from('slow down') };
    const response = await stack()(makeRequest({ method: 'HEAD' }));
    expect(response.body.kind).toBe('empty');
    expect(response.headers.get('content-length')).toBe('9');
  });

  test.each([
    [false, '14'],
    [true, '8'],
  ])('over gRPC, as exhausted resources: %s', async (resourceExhausted, status) => {
    fake.answer = {
      overallCode: OVER_LIMIT,
      rawBody: Buffer.from('slow down'),
      responseHeadersToAdd: [{ key: 'content-type', value: 'text/html' }],
    };
    const response = await stack({ resourceExhausted })(
      makeRequest({ header: { 'content-type': 'application/grpc' } }),
    );
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/grpc',
      'grpc-status': status,
      'grpc-message': 'slow down',
      'x-envoy-ratelimited': 'true',
    });
  });

  test('goes on where limits are not enforced, and its answer is marked all the same', async () => {
    fake.answer = {
      overallCode: OVER_LIMIT,
      requestHeadersToAdd: [{ key: 'X-Over', value: 'yes' }],
      responseHeadersToAdd: [{ key: 'x-envoy-ratelimited', value: 'maybe' }],
    };
    const response = await stack({ enforced: NEVER })(makeRequest());
    expect(response.status).toBe(200);
    expect(response.headers.getAll('x-envoy-ratelimited')).toEqual(['true']);
    expect(sent[0]?.headers.get('x-over')).toBe('yes');
    expect(counters()).toMatchObject({ [`${PREFIX}.over_limit`]: 1 });
  });
});

describe('a request within the limit', () => {
  test('gets the headers that the service adds on both ways, and its metadata', async () => {
    fake.answer = {
      requestHeadersToAdd: [
        { key: 'x-plan', value: 'free' },
        { key: 'x-raw', rawValue: Buffer.from('é') },
        { key: 'host', value: 'evil' },
        { key: ':path', value: '/evil' },
      ],
      responseHeadersToAdd: [{ key: 'x-plan', value: 'free' }],
      dynamicMetadata: { plan: 'free' },
    };
    const request = makeRequest({ header: { 'x-plan': 'none' } });
    const response = await stack()(request);
    expect(request.headers.getAll('x-plan')).toEqual(['none', 'free']);
    expect(request.headers.get('x-raw')).toBe(Buffer.from('é').toString('latin1'));
    expect(request.headers.has('host')).toBe(false);
    expect(response.headers.get('x-plan')).toBe('free');
    expect(request.context.dynamicMetadata?.get('envoy.filters.http.ratelimit')).toEqual({ plan: 'free' });
    expect(request.context.flags).toEqual([]);
  });

  test('is any that the service does not call over the limit', async () => {
    fake.answer = {};
    expect((await stack()(makeRequest())).status).toBe(200);
  });
});

describe('without an answer of the service', () => {
  async function inTime(service: Service, request = makeRequest()): Promise<Response> {
    const response = service(request);
    await clock.advance(20);
    return response;
  }

  test.each(['hang', 'unavailable', 'garbage'] as const)('(%s) requests pass', async (answer) => {
    fake.answer = answer;
    expect((await inTime(stack())).status).toBe(200);
    expect(counters()).toMatchObject({ [`${PREFIX}.error`]: 1, [`${PREFIX}.failure_mode_allowed`]: 1 });
  });

  test.each(['hang', 'unavailable', 'garbage'] as const)(
    '(%s) they are refused if so configured',
    async (answer) => {
      fake.answer = answer;
      const request = makeRequest();
      const response = await inTime(stack({ failureModeDeny: true }), request);
      expect(response).toMatchObject({
        status: 500,
        local: { reason: 'INMESH_RATE_LIMIT_UNANSWERED', details: 'rate_limiter_error' },
      });
      expect(response.headers.has('x-envoy-ratelimited')).toBe(false);
      expect(request.context.flags).toEqual(['RLSE']);
      expect(counters()).toMatchObject({ [`${PREFIX}.error`]: 1, [`${PREFIX}.failure_mode_allowed`]: 0 });
    },
  );

  test('they get the configured status', async () => {
    fake.answer = 'unavailable';
    expect((await stack({ failureModeDeny: true, statusOnError: 503 })(makeRequest())).status).toBe(503);
  });

  test('a share of them is refused', async () => {
    fake.answer = 'unavailable';
    const service = stack({
      failureModeDeny: true,
      failureModeDenyPercent: { numerator: 25, denominator: 100 },
    });
    let refused = 0;
    for (let i = 0; i < 400; i++) if ((await service(makeRequest())).status === 500) refused++;
    expect(refused).toBeGreaterThan(70);
    expect(refused).toBeLessThan(130);
  });

  test('nothing is waited for longer than the timeout of the filter', async () => {
    fake.answer = 'hang';
    const { service } = CONFIG;
    let status = 0;
    const response = stack({ timeoutMs: 50, service: { ...service, timeoutMs: 10 } })(makeRequest());
    void response.then((one) => {
      status = one.status;
    });
    await clock.advance(49);
    expect(status).toBe(0);
    await clock.advance(1);
    expect((await response).status).toBe(200);
  });

  test('a cluster that is not there is no answer', async () => {
    tools = { ...tools, upstream: (name) => (name === 'limits' ? undefined : fake.service) };
    expect((await stack({ failureModeDeny: true })(makeRequest())).status).toBe(500);
  });

  test('a caller that gave up gets none, and nothing is sent', async () => {
    fake.answer = 'hang';
    const request = makeRequest();
    const response = stack()(request);
    request.abort.abort(new Error('gone'));
    await expect(response).rejects.toThrow('gone');
    expect(sent).toEqual([]);
    expect(counters()).toMatchObject({ [`${PREFIX}.error`]: 0 });
  });
});

describe('limits that count when the exchange is over', () => {
  const AFTER = limitBy('after', { onStreamDone: true, hits: { count: '%RESPONSE_CODE%', isRefund: false } });

  test('are counted then, and refuse nothing', async () => {
    tools = { ...tools, rateLimits: limits([limitBy('before'), AFTER]) };
    const upstream = openResponse(200);
    const service = stack({}, [], async () => upstream);
    await service(makeRequest());
    expect(askedValues()).toEqual([['before']]);
    fake.answer = { overallCode: OVER_LIMIT };
    upstream.completion.settle();
    await clock.advance(0);
    expect(askedValues()).toEqual([['before'], ['after']]);
    expect(fake.asked[1]?.descriptors[0]?.hitsAddend).toBe(200n);
  });

  test('are counted for requests that were refused, and for those that failed', async () => {
    tools = { ...tools, rateLimits: limits([limitBy('before'), limitBy('after', { onStreamDone: true })]) };
    fake.answer = { overallCode: OVER_LIMIT };
    expect((await stack()(makeRequest())).status).toBe(429);
    fake.answer = {};
    const failing = stack({}, [], () => Promise.reject(new Error('reset')));
    await expect(failing(makeRequest())).rejects.toThrow('reset');
    await clock.advance(0);
    expect(askedValues()).toEqual([['before'], ['after'], ['before'], ['after']]);
  });

  test('do not mind that the caller is gone', async () => {
    tools = { ...tools, rateLimits: limits([limitBy('after', { onStreamDone: true })]) };
    const request = makeRequest();
    const upstream = openResponse(200);
    await stack({}, [], async () => upstream)(request);
    request.abort.abort(new Error('gone'));
    upstream.completion.settle(undefined, new Error('gone'));
    await clock.advance(0);
    expect(askedValues()).toEqual([['after']]);
  });
});
