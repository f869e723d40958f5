import { describe, expect, test } from 'vitest';
import { buildFilters } from '../../../src/filters/builtin.js';
import type { ForwardProxy } from '../../../src/filters/filter.js';
import type {
  DnsCacheConfig,
  ForwardProxyConfig,
  ForwardProxyRouteConfig,
} from '../../../src/model/dns-cache.js';
import { compose, type Request } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const CACHE: DnsCacheConfig = {
  name: 'cache',
  lookupFamily: undefined,
  refreshRateMs: 60_000,
  minRefreshRateMs: 5000,
  failureRefresh: undefined,
  hostTtlMs: 300_000,
  maxHosts: 1024,
  maxPendingRequests: 1024,
  preresolve: [],
  queryTimeoutMs: 5000,
};
const CONFIG: ForwardProxyConfig = { kind: 'forward-proxy', cache: CACHE, saveUpstreamAddress: false };

type Name = Awaited<ReturnType<ForwardProxy['resolve']>>;

function filter(
  answer: Name,
  {
    config = CONFIG,
    hostRewrite,
    cache = CACHE,
    isProxy = true,
  }: {
    readonly config?: ForwardProxyConfig;
    readonly hostRewrite?: ForwardProxyRouteConfig['hostRewrite'];
    readonly cache?: DnsCacheConfig;
    readonly isProxy?: boolean;
  } = {},
) {
  const asked: string[] = [];
  const sent: Request[] = [];
  const proxy: ForwardProxy = {
    cache,
    resolve: async (authority) => {
      asked.push(authority);
      return answer;
    },
  };
  const tools = { ...filterTools(createFakeClock()), forwardProxy: () => (isProxy ? proxy : undefined) };
  const layers =
    hostRewrite === undefined
      ? []
      : [new Map([['proxy', { kind: 'forward-proxy-route', hostRewrite } as const]])];
  const service = compose(buildFilters([{ name: 'proxy', config }], layers, tools), async (request) => {
    sent.push(request);
    return makeResponse(200);
  });
  return { service, asked, sent };
}

const RESOLVED: Name = { kind: 'resolved', addresses: ['10.0.0.1', '10.0.0.2'] };

describe('the filter of a dynamic forward proxy', () => {
  test('has the host of a request resolved, then lets it go on', async () => {
    const { service, asked, sent } = filter(RESOLVED);
    const request = makeRequest({ authority: 'a.example:8080' });
    expect((await service(request)).status).toBe(200);
    expect(asked).toEqual(['a.example:8080']);
    expect(sent).toEqual([request]);
    expect(request.context.filterState).toBeUndefined();
  });

  test('says nothing to requests for clusters of other kinds', async () => {
    const { service, asked, sent } = filter(RESOLVED, { isProxy: false });
    await service(makeRequest());
    expect([asked.length, sent.length]).toEqual([0, 1]);
  });

  test('never asks the cache of a cluster that has another one', async () => {
    const { service, asked, sent } = filter(RESOLVED, { cache: { ...CACHE, maxHosts: 1 } });
    await service(makeRequest());
    expect([asked.length, sent.length]).toEqual([0, 1]);
  });

  test('leaves the address in filter state when asked to', async () => {
    const { service } = filter(RESOLVED, { config: { ...CONFIG, saveUpstreamAddress: true } });
    const request = makeRequest();
    await service(request);
    expect(request.context.filterState?.get('envoy.stream.upstream_address')).toBe('10.0.0.1');
  });

  test.each([
    [{ kind: 'literal', value: 'b:1' } as const, 'b:1'],
    [{ kind: 'literal', value: '' } as const, 'reviews:9080'],
    [{ kind: 'header', value: 'x-to' } as const, 'c:2'],
    [{ kind: 'header', value: 'x-missing' } as const, 'reviews:9080'],
  ])('gives a request the host that its route says: %j', async (hostRewrite, expected) => {
    const { service, asked, sent } = filter(RESOLVED, { hostRewrite });
    await service(makeRequest({ header: { host: 'reviews:9080', 'x-to': 'c:2' } }));
    expect(asked).toEqual([expected]);
    expect([sent[0]?.authority, sent[0]?.headers.get('host')]).toEqual([expected, expected]);
  });

  test.each<[Name, string, string, string[]]>([
    [
      { kind: 'failed', details: 'queryA ENOTFOUND a' },
      'DNS resolution failure',
      'dns_resolution_failure{queryA_ENOTFOUND_a}',
      ['DF'],
    ],
    [{ kind: 'full' }, 'DNS cache overflow', 'dns_cache_overflow', []],
    [
      { kind: 'overflow' },
      'Dynamic forward proxy pending request overflow',
      'dynamic_forward_proxy_pending_request_overflow',
      [],
    ],
  ])('answers itself: %j', async (name, body, details, flags) => {
    const { service, sent } = filter(name);
    const request = makeRequest();
    expect(await service(request)).toMatchObject({ status: 503, body: { bytes: body }, local: { details } });
    expect(request.context.flags).toEqual(flags);
    expect(sent).toEqual([]);
  });

  test('refuses a request without host', async () => {
    const { service } = filter(RESOLVED);
    expect((await service(makeRequest({ authority: '' }))).status).toBe(400);
  });
});
