import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { encodeNode } from '../../../../src/codec/node.js';
import { readBootstrap } from '../../../../src/mesh/bootstrap/read.js';
import { NO_LOCALITY } from '../../../../src/model/endpoint.js';
import type { Node } from '../../../../src/model/node.js';
import { core } from '../../../../src/proto/xds.js';

const OWN_NODE: Node = {
  id: 'a',
  cluster: 'b',
  locality: NO_LOCALITY,
  metadata: { NAMESPACE: '', SERVICE_ACCOUNT: '', LABELS: {}, INSTANCE_IPS: '', GENERATOR: '' },
};

const read = (text: string) =>
  readBootstrap({ GRPC_XDS_BOOTSTRAP_CONFIG: text }, () => {
    throw new Error('no file');
  });
const parse = (value: unknown) => read(JSON.stringify(value));
const server = (change: object = {}) => ({
  server_uri: 'xds.example:443',
  channel_creds: [{ type: 'insecure' }],
  ...change,
});

/** As pilot-agent writes it for a pod with proxyless gRPC. */
const ISTIO = {
  xds_servers: [
    {
      server_uri: 'unix:///etc/istio/proxy/XDS',
      channel_creds: [{ type: 'insecure' }],
      server_features: ['xds_v3'],
    },
  ],
  node: {
    id: 'sidecar~10.1.2.3~shop-7d9.prod~prod.svc.cluster.local',
    metadata: { GENERATOR: 'grpc', NAMESPACE: 'prod', INSTANCE_IPS: '10.1.2.3', LABELS: { app: 'shop' } },
    locality: {},
    UserAgentVersionType: null,
  },
  certificate_providers: {
    default: {
      plugin_name: 'file_watcher',
      config: {
        certificate_file: '/var/lib/istio/data/cert-chain.pem',
        private_key_file: '/var/lib/istio/data/key.pem',
        ca_certificate_file: '/var/lib/istio/data/root-cert.pem',
        refresh_interval: '900s',
      },
    },
  },
  server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
};

describe('the gRPC bootstrap', () => {
  test('reads what Istio’s agent writes', () => {
    expect(parse(ISTIO)).toMatchObject({
      servers: [{ target: 'unix:///etc/istio/proxy/XDS', security: { kind: 'insecure' } }],
      node: { id: ISTIO.node.id, locality: undefined, metadata: { GENERATOR: 'grpc' } },
      inboundTemplate: 'xds.istio.io/grpc/lds/inbound/%s',
      outboundTemplate: '%s',
    });
    expect(parse(ISTIO)?.certificateFiles.get('default')).toEqual({
      certificateFile: '/var/lib/istio/data/cert-chain.pem',
      keyFile: '/var/lib/istio/data/key.pem',
      caFile: '/var/lib/istio/data/root-cert.pem',
      refreshMs: 900_000,
    });
  });

  test('dynamic parameters go into the node', () => {
    const node = { dynamic_parameters: { 'type.googleapis.com/a.B': { params: { shard: '3' } } } };
    const found = parse({ xds_servers: [server()], node })?.node.dynamicParameters;
    expect(found).toEqual({ 'type.googleapis.com/a.B': { shard: '3' } });
    const { metadata, id, cluster, locality } = OWN_NODE;
    const sent = encodeNode({ id, cluster, locality, metadata, dynamicParameters: found });
    expect(fromBinary(core.NodeSchema, toBinary(core.NodeSchema, sent)).dynamicParameters).toMatchObject({
      'type.googleapis.com/a.B': { params: { shard: '3' } },
    });
    const wrong = { dynamic_parameters: { t: { params: { shard: 3 } } } };
    expect(() => parse({ xds_servers: [server()], node: wrong })).toThrow(
      'dynamic_parameters.t.params.shard',
    );
  });

  test('Envoy’s limit of requests may stand there, with its defaults', () => {
    const withRate = (settings: unknown) =>
      parse({
        xds_servers: [server()],
        dynamic_resources: { ads_config: { rate_limit_settings: settings } },
      });
    expect(parse({ xds_servers: [server()] })?.requestRate).toBeUndefined();
    expect(withRate({})?.requestRate).toEqual({ maxTokens: 100, fillRate: 10 });
    expect(withRate({ max_tokens: 3, fill_rate: 0.5 })?.requestRate).toEqual({ maxTokens: 3, fillRate: 0.5 });
    for (const bad of [{ max_tokens: 0 }, { max_tokens: 1.5 }, { fill_rate: 0 }, { fill_rate: '1' }])
      expect(() => withRate(bad)).toThrow(Object.keys(bad)[0]);
  });

  test('of the channel credentials the first known type counts', () => {
    const of = (...types: object[]) =>
      parse({ xds_servers: [server({ channel_creds: types })] })?.servers[0]?.security;
    expect(of({ type: 'alts' }, { type: 'tls' }, { type: 'insecure' })).toMatchObject({
      kind: 'tls',
      caFile: undefined,
    });
    expect(of({ type: 'google_default' })).toMatchObject({ kind: 'tls', certificateFile: undefined });
    expect(
      of({
        type: 'tls',
        config: { ca_certificate_file: 'ca', certificate_file: 'c', private_key_file: 'k' },
      }),
    ).toMatchObject({ kind: 'tls', caFile: 'ca', certificateFile: 'c', keyFile: 'k' });
    expect(of({ type: 'inmesh' })).toEqual({ kind: 'mesh', serverIds: ['/ns/istio-system/sa/istiod'] });
    expect(of({ type: 'inmesh', config: { server_ids: ['spiffe://a/b'] } })).toEqual({
      kind: 'mesh',
      serverIds: ['spiffe://a/b'],
    });
  });

  test('a token goes along, of the call credentials that nobody knows nothing does', () => {
    const calls = [{ type: 'gcp' }, { type: 'jwt_token_file', config: { jwt_token_file: '/t' } }];
    expect(
      parse({ xds_servers: [server({ channel_creds: [{ type: 'tls' }], call_creds: calls })] })?.servers[0],
    ).toMatchObject({ tokenFile: '/t' });
  });

  test('features of servers, several servers, authorities with servers of their own or the common ones', () => {
    const found = parse({
      xds_servers: [
        server({
          server_features: [
            'xds_v3',
            7,
            'ignore_resource_deletion',
            'trusted_xds_server',
            'fail_on_data_errors',
            'resource_timer_is_transient_error',
          ],
        }),
        server({ server_uri: 'dns:///second:1' }),
      ],
      authorities: {
        'a.example': {
          client_listener_resource_name_template: 'xdstp://a.example/L/%s?x=1',
          xds_servers: [server({ server_uri: 'own:1' })],
        },
        '': {},
      },
      client_default_listener_resource_name_template: 'xdstp://a.example/L/%s',
      cluster_manager: { local_cluster_name: 'me' },
      certificate_providers: { cloud: { plugin_name: 'mesh_ca', config: {} } },
      something_new: { of: 'the future' },
    });
    expect(found?.servers.map(({ target }) => target)).toEqual(['xds.example:443', 'second:1']);
    expect(found?.servers[0]?.features).toEqual({
      ignoreResourceDeletion: true,
      isTrusted: true,
      failOnDataErrors: true,
      timerIsTransientError: true,
    });
    expect(found?.authorities.get('a.example')?.servers[0]?.target).toBe('own:1');
    expect(found?.authorities.get('')).toEqual({
      servers: [],
      listenerTemplate: 'xdstp:///envoy.config.listener.v3.Listener/%s',
    });
    expect(found).toMatchObject({ localCluster: 'me', outboundTemplate: 'xdstp://a.example/L/%s' });
    expect(found?.certificateFiles.size).toBe(0);
  });

  test.each([
    ['{', 'as JSON', '1:2'],
    ['{"xds_servers": [\n  {"server_uri": "a:1",}]}', 'as JSON', '2:24'],
    ['{"xds_servers": []} x', 'as JSON', '1:21'],
    ['[]', 'it must be an object', '1:1'],
    ['{}', 'xds_servers names no server', '1:1'],
    ['{"xds_servers": 5}', 'xds_servers must be a list', '1:17'],
    ['{"xds_servers":\n [{"channel_creds": []}]}', 'xds_servers[0].server_uri is missing', '2:3'],
    ['{"xds_servers": [{"server_uri": "nowhere"}]}', 'is neither host:port nor unix:path', '1:33'],
    [
      '{"xds_servers": [{"server_uri": "a:1", "channel_creds": [{"type": "alts"}]}]}',
      'channel_creds has "alts", of which none is known',
      '1:57',
    ],
    ['{"xds_servers": [{"server_uri": "a:1"}]}', 'xds_servers[0].channel_creds names no credentials', '1:18'],
    [
      JSON.stringify({
        xds_servers: [server({ channel_creds: [{ type: 'tls', config: { certificate_file: 'c' } }] })],
      }),
      'config must have both certificate_file and private_key_file',
      '1:',
    ],
    [
      JSON.stringify({
        xds_servers: [server({ call_creds: [{ type: 'jwt_token_file', config: { jwt_token_file: 't' } }] })],
      }),
      'call_creds would send a token in plaintext',
      '1:',
    ],
    [
      JSON.stringify({
        xds_servers: [server()],
        authorities: { a: { client_listener_resource_name_template: 'xdstp://b/L/%s' } },
      }),
      'must begin with "xdstp://a/"',
      '1:',
    ],
    [
      JSON.stringify({
        xds_servers: [server({ channel_creds: [{ type: 'tls', config: { refresh_interval: '0s' } }] })],
      }),
      'refresh_interval must be a duration',
      '1:',
    ],
    [
      JSON.stringify({
        xds_servers: [server()],
        certificate_providers: { p: { plugin_name: 'file_watcher', config: {} } },
      }),
      'certificate_providers.p.config must have certificate_file',
      '1:',
    ],
    [JSON.stringify({ xds_servers: [server()], node: { id: 5 } }), 'node.id must be a string', '1:'],
  ])('%s is refused with its place', (text, what, place) => {
    let message = '';
    try {
      read(text);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain('INMESH_BOOTSTRAP_INVALID');
    expect(message).toContain(what);
    expect(message).toContain(`GRPC_XDS_BOOTSTRAP_CONFIG:${place}`);
  });

  test('the file counts more than the inline text; empty variables are none', () => {
    const file = JSON.stringify({ xds_servers: [server({ server_uri: 'file:1' })] });
    const inline = JSON.stringify({ xds_servers: [server({ server_uri: 'inline:1' })] });
    const env = { GRPC_XDS_BOOTSTRAP: '/b.json', GRPC_XDS_BOOTSTRAP_CONFIG: inline };
    expect(readBootstrap(env, () => file)?.servers[0]?.target).toBe('file:1');
    expect(readBootstrap({ ...env, GRPC_XDS_BOOTSTRAP: '' }, () => file)?.servers[0]?.target).toBe(
      'inline:1',
    );
    expect(readBootstrap({ GRPC_XDS_BOOTSTRAP: '' }, () => file)).toBeUndefined();
  });
});
