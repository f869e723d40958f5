import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { CLUSTER } from '../../../src/codec/resource-types.js';
import { clusterWith, decoded, refusal } from './wire.js';

const MINIMAL: JsonObject = {
  timeout: '1s',
  interval: '5s',
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  httpHealthCheck: { path: '/healthz' },
};

function checkedBy(healthChecks: JsonObject[]): JsonValue {
  return clusterWith({ healthChecks });
}

function withCheck(check: JsonObject): JsonValue {
  const checks: JsonObject[] = [{ ...MINIMAL, ...check }];
  return checkedBy(checks);
}

function withHttp(http: JsonObject): JsonValue {
  return withCheck({ httpHealthCheck: { path: '/', ...http } });
}

const { httpHealthCheck: _, ...BARE } = MINIMAL;
const CUSTOM = checkedBy([{ ...BARE, customHealthCheck: { name: 'x' } }]);

describe('a health check', () => {
  test('has the defaults of Envoy', () => {
    expect(decoded(CLUSTER, withCheck({})).healthCheck).toEqual({
      timeoutMs: 1000,
      intervalMs: 5000,
      initialJitterMs: 0,
      intervalJitterMs: 0,
      intervalJitterPercent: 0,
      unhealthyThreshold: 3,
      healthyThreshold: 2,
      noTrafficIntervalMs: 60_000,
      noTrafficHealthyIntervalMs: 60_000,
      unhealthyIntervalMs: 5000,
      unhealthyEdgeIntervalMs: 5000,
      healthyEdgeIntervalMs: 5000,
      reuseConnection: true,
      alwaysLogFailures: false,
      alwaysLogSuccess: false,
      alpn: [],
      transportSocketMatch: undefined,
      checker: {
        kind: 'http',
        host: '',
        path: '/healthz',
        method: 'GET',
        send: undefined,
        receive: [],
        responseBufferBytes: 1024,
        headers: { add: [], remove: [] },
        expectedStatuses: [{ start: 200, end: 201 }],
        retriableStatuses: [],
        serviceName: undefined,
      },
    });
  });

  test('intervals fall back to each other', () => {
    const check = { noTrafficInterval: '7s', unhealthyInterval: '8s' };
    expect(decoded(CLUSTER, withCheck(check)).healthCheck).toMatchObject({
      noTrafficHealthyIntervalMs: 7000,
      unhealthyEdgeIntervalMs: 8000,
      healthyEdgeIntervalMs: 5000,
    });
  });

  test('payloads are hex or bytes', () => {
    const http = {
      method: 'POST',
      send: { text: 'CAfe' },
      receive: [{ binary: Buffer.from('ok').toString('base64') }],
    };
    expect(decoded(CLUSTER, withHttp(http)).healthCheck?.checker).toMatchObject({
      send: 'cafe',
      receive: ['6f6b'],
    });
  });
});

describe('other kinds of checks', () => {
  test('by TCP', () => {
    const tcpHealthCheck = { send: { text: '00FF' }, receive: [{ text: '01' }] };
    expect(decoded(CLUSTER, checkedBy([{ ...BARE, tcpHealthCheck }])).healthCheck?.checker).toEqual({
      kind: 'tcp',
      send: '00ff',
      receive: ['01'],
    });
  });

  test('by HTTP/2, and by gRPC where the cluster speaks HTTP/2', () => {
    expect(decoded(CLUSTER, withHttp({ codecClientType: 'HTTP2' })).healthCheck?.checker).toMatchObject({
      http2: true,
    });
    const initialMetadata = [{ header: { key: 'x-a', value: 'b' } }];
    const grpcHealthCheck = { serviceName: 's', authority: 'a', initialMetadata };
    const model = clusterWith({
      healthChecks: [{ ...BARE, grpcHealthCheck }],
      http2ProtocolOptions: {},
    });
    const checker = {
      kind: 'grpc',
      serviceName: 's',
      authority: 'a',
      metadata: [{ name: 'x-a', value: 'b', action: 'append-if-exists-or-add', keepEmpty: false }],
    };
    const cluster = decoded(CLUSTER, model);
    expect(cluster.healthCheck?.checker).toEqual(checker);
    expect(CLUSTER.decode(CLUSTER.encode(cluster)).resource).toEqual(cluster);
  });
});

describe('a health check is refused, and the message has the path, for', () => {
  test.each<[string, JsonValue, string]>([
    ['no timeout', withCheck({ timeout: null }), 'health_checks[0].timeout: is required'],
    ['no interval', withCheck({ interval: null }), 'health_checks[0].interval: is required'],
    ['an interval of 0', withCheck({ interval: '0s' }), 'health_checks[0].interval: must be greater than 0'],
    [
      'an edge interval of 0',
      withCheck({ healthyEdgeInterval: '0s' }),
      'healthy_edge_interval: must be greater',
    ],
    [
      'no threshold',
      withCheck({ healthyThreshold: null }),
      'health_checks[0].healthy_threshold: is required',
    ],
    ['no checker', withCheck({ httpHealthCheck: null }), 'health_checks[0].health_checker: is required'],
    ['a custom checker', CUSTOM, 'custom_health_check: is not supported'],
    [
      'gRPC over HTTP/1.1',
      checkedBy([{ ...BARE, grpcHealthCheck: {} }]),
      'grpc_health_check: needs a cluster',
    ],
    [
      'a PROXY protocol',
      checkedBy([{ ...BARE, tcpHealthCheck: { proxyProtocolConfig: {} } }]),
      'tcp_health_check.proxy_protocol_config: is not supported',
    ],
    ['another port', withCheck({ altPort: 8080 }), 'health_checks[0].alt_port: is not supported'],
    ['an event service', withCheck({ eventService: {} }), 'health_checks[0].event_service: is not supported'],
    ['an empty path', withHttp({ path: '' }), 'http_health_check.path: must not be empty'],
    ['a path with a line break', withHttp({ path: '/a\r\nb' }), 'http_health_check.path: contains'],
    ['CONNECT', withHttp({ method: 'CONNECT' }), 'http_health_check.method: must not be CONNECT'],
    [
      'HTTP/3',
      withHttp({ codecClientType: 'HTTP3' }),
      'http_health_check.codec_client_type: must be HTTP1 or HTTP2',
    ],
    [
      'a body of a GET',
      withHttp({ send: { text: '00' } }),
      'http_health_check.send: a check with the method GET',
    ],
    ['what is no hex', withHttp({ receive: [{ text: 'abc' }] }), 'receive[0].text: "abc" is no text in hex'],
    ['an empty payload', withHttp({ receive: [{}] }), 'receive[0]: must be text or binary'],
    [
      'more to receive than is read',
      withHttp({ responseBufferSize: '1', receive: [{ text: '0102' }] }),
      'response_buffer_size: is less than',
    ],
    [
      'an empty range',
      withHttp({ expectedStatuses: [{ start: '200', end: '200' }] }),
      'expected_statuses[0]: start',
    ],
    [
      'no status',
      withHttp({ retriableStatuses: [{ start: '1', end: '200' }] }),
      'retriable_statuses[0]: must lie',
    ],
    [
      'a pseudo-header',
      withHttp({ requestHeadersToAdd: [{ header: { key: ':path', value: '/' } }] }),
      'request_headers_to_add[0].header.key',
    ],
    [
      'labels that are no texts',
      withCheck({ transportSocketMatchCriteria: { a: 1 } }),
      'transport_socket_match_criteria["a"]: must be a string',
    ],
    ['two checks', checkedBy([MINIMAL, MINIMAL]), 'health_checks[1]: only one'],
  ])('%s', (_what, message, expected) => {
    expect(refusal(CLUSTER, message)).toContain(expected);
  });
});
