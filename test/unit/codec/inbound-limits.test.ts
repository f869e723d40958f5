import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { LISTENER } from '../../../src/codec/resource-types.js';
import { decoded, listenerWith, ROUTER, refusal } from './wire.js';

const HCM =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** A server's listener whose connection manager has these fields. */
function server(fields: Record<string, JsonValue>): JsonValue {
  const typedConfig = { '@type': HCM, routeConfig: { name: 'r' }, httpFilters: [ROUTER], ...fields };
  return {
    name: 'in',
    address: { socketAddress: { address: '10.0.0.1', portValue: 80 } },
    filterChains: [{ filters: [{ name: 'http', typedConfig }] }],
  };
}

function httpOf(fields: Record<string, JsonValue>) {
  const listener = decoded(LISTENER, server(fields));
  return listener.kind === 'inbound' ? listener.filterChains[0]?.http : undefined;
}

describe('limits of a server', () => {
  test('every field', () => {
    const http = httpOf({
      requestTimeout: '1s',
      requestHeadersTimeout: '2s',
      streamIdleTimeout: '3s',
      drainTimeout: '4s',
      delayedCloseTimeout: '5s',
      maxRequestHeadersKb: 96,
      commonHttpProtocolOptions: {
        idleTimeout: '6s',
        maxConnectionDuration: '7s',
        maxStreamDuration: '8s',
        maxHeadersCount: 9,
        maxRequestsPerConnection: 10,
        headersWithUnderscoresAction: 'REJECT_REQUEST',
      },
    });
    expect(http).toMatchObject({
      streamIdleTimeoutMs: 3000,
      maxStreamDurationMs: 8000,
      limits: {
        requestTimeoutMs: 1000,
        requestHeadersTimeoutMs: 2000,
        drainTimeoutMs: 4000,
        delayedCloseTimeoutMs: 5000,
        maxRequestHeadersKb: 96,
        idleTimeoutMs: 6000,
        maxConnectionDurationMs: 7000,
        maxHeadersCount: 9,
        maxRequestsPerConnection: 10,
        underscores: 'reject',
      },
    });
  });

  test('none that is set, no limits', () => {
    expect(
      httpOf({ commonHttpProtocolOptions: { headersWithUnderscoresAction: 'ALLOW' } })?.limits,
    ).toBeUndefined();
  });

  test.each<[Record<string, JsonValue>, string]>([
    [{ maxRequestHeadersKb: 0 }, 'max_request_headers_kb: must be from 1 to 8192'],
    [{ maxRequestHeadersKb: 8193 }, 'max_request_headers_kb: must be from 1 to 8192'],
    [{ requestTimeout: '-1s' }, 'request_timeout'],
    [{ commonHttpProtocolOptions: { maxHeadersCount: 0 } }, 'max_headers_count: must be at least 1'],
    [{ commonHttpProtocolOptions: { headersWithUnderscoresAction: 7 } }, 'headers_with_underscores_action'],
  ])('refuses %j', (fields, what) => {
    expect(refusal(LISTENER, server(fields))).toContain(what);
  });

  test('a client has no connections of callers to hold to anything', () => {
    for (const field of ['requestTimeout', 'requestHeadersTimeout', 'drainTimeout'])
      expect(refusal(LISTENER, listenerWith([ROUTER], { [field]: '1s' }))).toContain('timeout');
  });
});
