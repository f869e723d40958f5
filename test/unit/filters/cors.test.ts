import { describe, expect, test } from 'vitest';
import { buildFilters } from '../../../src/filters/builtin.js';
import type { CorsPolicyConfig } from '../../../src/model/cors.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import { compose } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const CORS = 'envoy.filters.http.cors';
const policy = (part: Partial<CorsPolicyConfig>): CorsPolicyConfig => ({
  kind: 'cors-policy',
  allowOrigins: [],
  allowMethods: '',
  allowHeaders: '',
  exposeHeaders: '',
  maxAge: '',
  allowCredentials: undefined,
  enabled: undefined,
  shadow: undefined,
  allowPrivateNetworkAccess: undefined,
  forwardNotMatchingPreflights: undefined,
  ...part,
});
const origin = (value: string) => [{ kind: 'exact' as const, value, ignoreCase: false }];

/** The answer to a request through the filter with the policies, most specific first; `upstream` is a 201. */
async function answer(
  layers: readonly CorsPolicyConfig[],
  header: Record<string, string>,
  method = 'GET',
): Promise<[number, Record<string, string>]> {
  const filters = buildFilters(
    [{ name: CORS, config: { kind: 'cors' } }],
    layers.map((one) => new Map<string, FilterConfig>([[CORS, one]])),
    filterTools(createFakeClock()),
  );
  const service = compose(filters, async () => makeResponse(201));
  const response = await service(makeRequest({ method, header }));
  return [response.status, Object.fromEntries(response.headers)];
}

const PREFLIGHT = { origin: 'https://a', 'access-control-request-method': 'PUT' };

describe('CORS', () => {
  test('without a policy nothing happens', async () => {
    expect(await answer([], PREFLIGHT, 'OPTIONS')).toEqual([201, {}]);
  });

  test('a preflight from an allowed origin is answered here; the virtual host fills what the route leaves out', async () => {
    const route = policy({ allowOrigins: origin('https://a'), allowMethods: 'PUT', allowCredentials: true });
    const host = policy({ allowOrigins: origin('https://b'), allowHeaders: 'x-h', maxAge: '60' });
    expect(await answer([route, host], PREFLIGHT, 'OPTIONS')).toEqual([
      200,
      {
        'access-control-allow-origin': 'https://a',
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': 'PUT',
        'access-control-allow-headers': 'x-h',
        'access-control-max-age': '60',
      },
    ]);
  });

  test('a preflight from elsewhere goes on, or gets an empty answer when it must not', async () => {
    const allowed = { allowOrigins: origin('https://b') };
    expect(await answer([policy(allowed)], PREFLIGHT, 'OPTIONS')).toEqual([201, {}]);
    const closed = policy({ ...allowed, forwardNotMatchingPreflights: false });
    expect(await answer([closed], PREFLIGHT, 'OPTIONS')).toEqual([200, {}]);
  });

  test('a response to an allowed origin is marked, one to another origin is not', async () => {
    const any = policy({ allowOrigins: origin('*'), exposeHeaders: 'x-e' });
    expect(await answer([any], { origin: 'https://z' })).toEqual([
      201,
      { 'access-control-allow-origin': 'https://z', 'access-control-expose-headers': 'x-e' },
    ]);
    expect(await answer([policy({ allowOrigins: origin('https://a') })], { origin: 'https://z' })).toEqual([
      201,
      {},
    ]);
    expect(await answer([any], {})).toEqual([201, {}]);
  });

  test('a private network is open to preflights only when the policy says so', async () => {
    const header = { ...PREFLIGHT, 'access-control-request-private-network': 'true' };
    const open = policy({ allowOrigins: origin('*'), allowPrivateNetworkAccess: true });
    const [, headers] = await answer([open], header, 'OPTIONS');
    expect(headers['access-control-allow-private-network']).toBe('true');
  });

  test('not enabled: nothing is answered or marked', async () => {
    const off = policy({
      allowOrigins: origin('*'),
      enabled: { numerator: 0, denominator: 100 },
      shadow: { numerator: 100, denominator: 100 },
    });
    expect(await answer([off], PREFLIGHT, 'OPTIONS')).toEqual([201, {}]);
  });
});
