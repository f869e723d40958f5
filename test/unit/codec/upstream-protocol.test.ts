import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { CLUSTER } from '../../../src/codec/resource-types.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { clusterWith, decoded, refusal } from './wire.js';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const TLS = {
  name: 'envoy.transport_sockets.tls',
  typedConfig: {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
    commonTlsContext: { validationContext: { systemRootCerts: {} } },
  },
} satisfies JsonValue;

type Fields = Record<string, JsonValue>;

function clusterOf(options: Fields, change: Fields = {}): JsonValue {
  return clusterWith({
    typedExtensionProtocolOptions: { [OPTIONS]: { '@type': `type.googleapis.com/${OPTIONS}`, ...options } },
    ...change,
  });
}

const explicit = (http2ProtocolOptions: Fields) =>
  clusterOf({ explicitHttpConfig: { http2ProtocolOptions } });

describe('what a cluster speaks', () => {
  test.each([
    ['nothing said', clusterOf({}), undefined],
    ['HTTP/1.1', clusterOf({ explicitHttpConfig: { httpProtocolOptions: {} } }), undefined],
    ['HTTP/2', explicit({}), { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS }],
    [
      'what the caller speaks',
      clusterOf({ useDownstreamProtocolConfig: { http2ProtocolOptions: { maxConcurrentStreams: 7 } } }),
      { kind: 'downstream', http2: { ...DEFAULT_HTTP2_OPTIONS, maxConcurrentStreams: 7 } },
    ],
    [
      'what TLS negotiates',
      clusterOf({ autoConfig: {} }, { transportSocket: TLS }),
      { kind: 'auto', http2: DEFAULT_HTTP2_OPTIONS },
    ],
    [
      'the older field',
      clusterWith({ http2ProtocolOptions: {} }),
      { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS },
    ],
    ['the older field of HTTP/1.1', clusterWith({ httpProtocolOptions: {} }), undefined],
    [
      'the older selection',
      clusterWith({
        protocolSelection: 'USE_DOWNSTREAM_PROTOCOL',
        httpProtocolOptions: {},
        http2ProtocolOptions: {},
      }),
      { kind: 'downstream', http2: DEFAULT_HTTP2_OPTIONS },
    ],
  ])('%s', (_name, json, protocol) => {
    expect(decoded(CLUSTER, json).protocol).toEqual(protocol);
  });

  test('the older fields count only without the extension', () => {
    const json = clusterOf({ explicitHttpConfig: { httpProtocolOptions: {} } }, { http2ProtocolOptions: {} });
    expect(decoded(CLUSTER, json).protocol).toBeUndefined();
  });

  test('keepalive has Envoy’s defaults', () => {
    const json = explicit({ connectionKeepalive: { interval: '30s', timeout: '5s' } });
    expect(decoded(CLUSTER, json).protocol?.http2.keepalive).toEqual({
      intervalMs: 30_000,
      timeoutMs: 5000,
      jitterPercent: 15,
      idleIntervalMs: 0,
    });
  });

  test('names that come from requests', () => {
    const options = { upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true } };
    for (const json of [clusterOf(options), clusterWith(options)]) {
      expect(decoded(CLUSTER, json)).toMatchObject({ autoSni: true, autoSanValidation: true });
    }
  });

  test.each([
    [clusterOf({ upstreamHttpProtocolOptions: { autoSanValidation: true } }), 'needs auto_sni'],
    [
      clusterOf({ upstreamHttpProtocolOptions: { overrideAutoSniHeader: 'x' } }),
      'override_auto_sni_header: is not supported',
    ],
    [explicit({ maxConcurrentStreams: 0 }), 'max_concurrent_streams'],
    [explicit({ initialStreamWindowSize: 65_534 }), 'initial_stream_window_size'],
    [explicit({ initialConnectionWindowSize: 2 ** 31 }), 'initial_connection_window_size'],
    [explicit({ connectionKeepalive: { interval: '1s' } }), 'connection_keepalive.timeout'],
    [explicit({ connectionKeepalive: { timeout: '0s' } }), 'connection_keepalive.timeout'],
    [explicit({ maxOutboundFrames: 5 }), 'max_outbound_frames'],
    [clusterOf({ explicitHttpConfig: {} }), 'explicit_http_config'],
    [clusterOf({ explicitHttpConfig: { http3ProtocolOptions: {} } }), 'http3_protocol_options'],
    [clusterOf({ autoConfig: {} }), 'auto_config needs TLS'],
    [
      clusterOf(
        { autoConfig: {} },
        {
          transportSocket: TLS,
          transportSocketMatches: [
            { name: 'plain', match: {}, transportSocket: { name: 'envoy.transport_sockets.raw_buffer' } },
          ],
        },
      ),
      'auto_config needs TLS',
    ],
    [clusterWith({ httpProtocolOptions: {}, http2ProtocolOptions: {} }), 'http2_protocol_options'],
  ])('%j is refused by %s', (json, where) => {
    expect(refusal(CLUSTER, json)).toContain(where);
  });
});
