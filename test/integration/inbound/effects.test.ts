import { describe, expect, test } from 'vitest';
import { inboundPolicyOf } from '../../../src/mesh/inbound-policy.js';
import type { AccessLog } from '../../../src/model/access-log.js';
import { type FilterConfig, NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { HttpConnectionManager } from '../../../src/model/listener.js';
import { NO_PROCESSING } from '../../../src/model/request-processing.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { AccessLogs } from '../../../src/telemetry/access-log.js';
import { startInbound } from './support.js';

const CORS = 'envoy.filters.http.cors';
const POLICY: FilterConfig = {
  kind: 'cors-policy',
  allowOrigins: [{ kind: 'exact', value: '*', ignoreCase: false }],
  allowMethods: 'PUT',
  allowHeaders: '',
  exposeHeaders: '',
  maxAge: '',
  allowCredentials: undefined,
  enabled: undefined,
  shadow: undefined,
  allowPrivateNetworkAccess: undefined,
  forwardNotMatchingPreflights: undefined,
};

const http = (part: Partial<HttpConnectionManager> = {}): HttpConnectionManager => ({
  filters: [
    { name: CORS, config: { kind: 'cors' } },
    { name: 'router', config: { kind: 'router' } },
  ],
  routes: {
    kind: 'inline',
    config: {
      name: 'inbound',
      virtualHosts: [
        {
          name: 'inbound',
          domains: ['*'],
          routes: [
            {
              name: 'all',
              match: {
                path: { kind: 'prefix', value: '/', caseSensitive: true },
                headers: [],
                queryParameters: [],
                runtimeFraction: undefined,
                grpcOnly: false,
              },
              action: { kind: 'non-forwarding' },
              filterOverrides: new Map([[CORS, POLICY]]),
              headers: {
                request: {
                  remove: [],
                  add: [{ name: 'x-in', value: '%REQ(:path)%', action: 'add-if-absent', keepEmpty: false }],
                },
                response: {
                  remove: ['x-secret'],
                  add: [
                    {
                      name: 'x-out',
                      value: '%RESPONSE_CODE% %PROTOCOL%',
                      action: 'overwrite-if-exists-or-add',
                      keepEmpty: false,
                    },
                  ],
                },
              },
            },
          ],
          retryPolicy: undefined,
          filterOverrides: NO_OVERRIDES,
          includeRequestAttemptCount: false,
        },
      ],
    },
  },
  ...part,
});

async function serve(part: Partial<HttpConnectionManager> = {}) {
  const lines: string[] = [];
  const format =
    '%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %PROTOCOL% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %ROUTE_NAME%';
  const logs = new AccessLogs(
    { to: (line) => lines.push(line), format },
    { clock: systemClock, logger: silentLogger, random: () => 0 },
  );
  const inbound = await startInbound(
    (request, response) => {
      response.setHeader('x-secret', '1');
      // Every way to give headers must be seen by the filters.
      if (request.url === '/list') response.writeHead(201, ['X-A', '1', 'X-A', '2']);
      else response.writeHead(201, { 'X-A': ['1', '2'] });
      response.end(JSON.stringify({ url: request.url, headers: request.headers }));
    },
    { mode: 'disable' },
  );
  inbound.policy.set(
    inboundPolicyOf(
      {
        kind: 'inbound',
        name: 'inbound',
        address: undefined,
        filterChains: [{ name: 'plain', transportProtocol: 'raw_buffer', tls: undefined, http: http(part) }],
      },
      {
        clock: systemClock,
        random: seededRandom(1),
        node: { id: 'node', cluster: 'test' },
        upstream: () => undefined,
        accessLog: (configured: readonly AccessLog[] | undefined) => logs.logger(configured),
      },
    ),
  );
  return { inbound, lines };
}

describe('what routes and listeners do to inbound requests', () => {
  test.each(['/a', '/list'])(
    'headers are changed in both directions, and the exchange is logged (%s)',
    async (path) => {
      const { inbound, lines } = await serve();
      const response = await fetch(inbound.url + path, { headers: { origin: 'https://a' } });
      const seen = (await response.json()) as { headers: Record<string, string> };
      expect(seen.headers['x-in']).toBe(path);
      expect(response.status).toBe(201);
      expect(response.headers.get('x-a')).toBe('1, 2');
      expect(response.headers.get('x-secret')).toBeNull();
      expect(response.headers.get('x-out')).toBe('201 HTTP/1.1');
      expect(response.headers.get('access-control-allow-origin')).toBe('https://a');
      await inbound.close();
      expect(lines).toEqual([`GET ${path} 201 via_upstream HTTP/1.1 127.0.0.1 all\n`]);
    },
  );

  test('a preflight never reaches the application', async () => {
    const { inbound, lines } = await serve();
    const headers = { origin: 'https://a', 'access-control-request-method': 'PUT' };
    const response = await fetch(inbound.url, { method: 'OPTIONS', headers });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-methods')).toBe('PUT');
    await inbound.close();
    expect(lines).toEqual(['OPTIONS / 200 cors_response HTTP/1.1 127.0.0.1 all\n']);
  });

  test('the path is normalised, untrusted headers go, a request id comes, the server has a name', async () => {
    const processing = {
      ...NO_PROCESSING,
      normalizePath: true,
      useRemoteAddress: true,
      via: 'mesh',
      server: { name: 'mesh', overwrite: true },
      escapedSlashes: 'reject' as const,
    };
    const { inbound } = await serve({ processing });
    const headers = { 'x-envoy-retry-on': '5xx', 'x-request-id': 'mine', 'x-forwarded-for': '9.9.9.9' };
    const response = await fetch(`${inbound.url}/a%2E/b/%41`, { headers });
    const seen = (await response.json()) as { url: string; headers: Record<string, string> };
    expect(seen.url).toBe('/a./b/A');
    expect(seen.headers['x-envoy-retry-on']).toBeUndefined();
    expect(seen.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(seen.headers).toMatchObject({
      via: 'mesh',
      'x-forwarded-for': '9.9.9.9,127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-envoy-external-address': '127.0.0.1',
    });
    expect(response.headers.get('server')).toBe('mesh');
    expect((await fetch(`${inbound.url}/a%2Fb`)).status).toBe(400);
    await inbound.close();
  });
});
