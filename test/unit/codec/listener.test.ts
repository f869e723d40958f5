import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { LISTENER } from '../../../src/codec/resource-types.js';
import { decoded, listenerWith, ROUTER, refusal } from './wire.js';

const TYPE = 'type.googleapis.com/envoy.extensions';
const UNKNOWN: JsonValue = { '@type': `${TYPE}.filters.http.health_check.v3.HealthCheck` };
const HCM: JsonValue = {
  '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
  routeConfig: {
    virtualHosts: [{ domains: ['*'], routes: [{ match: { prefix: '/' }, nonForwardingAction: {} }] }],
  },
  httpFilters: [ROUTER],
};

const chainWith = (chain: Record<string, JsonValue>): JsonValue => ({
  filters: [{ name: 'hcm', typedConfig: HCM }],
  ...chain,
});
const chainsOf = (chains: readonly Record<string, JsonValue>[]): JsonValue => ({
  name: 'inbound',
  filterChains: chains.map(chainWith),
});
const inbound = (chain: Record<string, JsonValue>): JsonValue => chainsOf([chain]);
const range = (addressPrefix: string, prefixLen: number): JsonValue => ({ addressPrefix, prefixLen });
const downstream = (context: Record<string, JsonValue>): JsonValue =>
  inbound({
    transportSocket: {
      name: 't',
      typedConfig: { '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`, ...context },
    },
  });

describe('outbound', () => {
  test('an unknown filter that is optional is left out', () => {
    const listener = decoded(
      LISTENER,
      listenerWith([{ name: 'x', typedConfig: UNKNOWN, isOptional: true }, ROUTER]),
    );
    expect(listener).toMatchObject({ kind: 'outbound', http: { filters: [{ config: { kind: 'router' } }] } });
  });

  test('routes may come from "self"', () => {
    const json = listenerWith([ROUTER], { rds: { routeConfigName: 'r', configSource: { self: {} } } });
    expect(decoded(LISTENER, json)).toMatchObject({ http: { routes: { kind: 'rds', name: 'r' } } });
  });

  test.each<[string, JsonValue, string]>([
    [
      'an unknown filter',
      listenerWith([{ name: 'x', typedConfig: UNKNOWN }, ROUTER]),
      '.http_filters[0].typed_config: the filter "envoy.extensions.filters.http.health_check.v3.HealthCheck" is not supported',
    ],
    ['no filter', listenerWith([]), '.http_filters: the last filter must be the router'],
    [
      'a filter after the router',
      listenerWith([ROUTER, { ...(ROUTER as object), name: 'b' }]),
      '.http_filters[1]: nothing may follow the router',
    ],
    [
      'two filters of one name',
      listenerWith([ROUTER, ROUTER]),
      '.http_filters[1].name: is used by two filters',
    ],
    [
      'a filter without a name',
      listenerWith([{ ...(ROUTER as object), name: '' }]),
      '.http_filters[0].name: must not be empty',
    ],
    [
      'a filter without configuration',
      listenerWith([{ name: 'x' }]),
      '.http_filters[0].typed_config: is required',
    ],
    [
      'a disabled router',
      listenerWith([{ ...(ROUTER as object), disabled: true }]),
      '.http_filters[0].disabled: is not for the router',
    ],
    [
      'scoped routes',
      listenerWith([ROUTER], { rds: undefined as never, scopedRoutes: {} }),
      '.scoped_routes: is not supported',
    ],
    [
      'routes of no name',
      listenerWith([ROUTER], { rds: { configSource: { ads: {} } } }),
      '.rds.route_config_name: must not be empty',
    ],
    [
      'routes of no source',
      listenerWith([ROUTER], { rds: { routeConfigName: 'r' } }),
      '.rds.config_source: is required',
    ],
    [
      'header validation',
      listenerWith([ROUTER], { typedHeaderValidationConfig: { name: 'v' } }),
      '.typed_header_validation_config: is not supported',
    ],
    [
      'path normalization',
      listenerWith([ROUTER], { normalizePath: true }),
      '.normalize_path: is not supported',
    ],
    [
      'trusted hops',
      listenerWith([ROUTER], { xffNumTrustedHops: 1 }),
      '.xff_num_trusted_hops: is not supported',
    ],
  ])('is refused for %s', (_what, json, message) => {
    expect(refusal(LISTENER, JSON.parse(JSON.stringify(json)))).toContain(
      `api_listener.api_listener${message}`,
    );
  });

  test('is refused when it also has filter chains or holds something else than HTTP', () => {
    const base = listenerWith([ROUTER]) as Record<string, JsonValue>;
    expect(refusal(LISTENER, { ...base, filterChains: [{}] })).toContain('filter_chains: is not supported');
    expect(refusal(LISTENER, { name: 'l', apiListener: { apiListener: UNKNOWN } })).toContain(
      'must be an HTTP connection manager',
    );
    expect(refusal(LISTENER, { name: 'l', apiListener: {} })).toContain(
      'api_listener.api_listener: is required',
    );
  });
});

describe('inbound', () => {
  test('the plaintext listener that Istio sends to gRPC decodes', () => {
    expect(decoded(LISTENER, inbound({ name: 'inbound-plaintext' }))).toMatchObject({
      kind: 'inbound',
      address: undefined,
      filterChains: [{ name: 'inbound-plaintext', transportProtocol: '', tls: undefined }],
    });
  });

  test('what chains are told apart by decodes, with the default chain and the wait for first bytes', () => {
    const filterChainMatch = {
      destinationPort: 443,
      prefixRanges: [range('10.0.0.0', 8)],
      serverNames: ['*.Example.com'],
      transportProtocol: 'raw_buffer',
      applicationProtocols: ['h2'],
      directSourcePrefixRanges: [range('::1', 128)],
      sourceType: 'SAME_IP_OR_LOOPBACK',
      sourcePrefixRanges: [range('10.0.0.0', 8)],
      sourcePorts: [1, 2],
    };
    const inspector = {
      name: 'inspector',
      typedConfig: { '@type': `${TYPE}.filters.listener.tls_inspector.v3.TlsInspector` },
    };
    const json = {
      ...(chainsOf([{ filterChainMatch }, { filterChainMatch: { transportProtocol: 'tls' } }]) as object),
      defaultFilterChain: chainWith({ name: 'others', filterChainMatch: {} }),
      listenerFilters: [inspector],
    };
    expect(decoded(LISTENER, json)).toMatchObject({
      filterChains: [
        {
          transportProtocol: 'raw_buffer',
          match: {
            destinationPort: 443,
            destinationRanges: [{ address: '10.0.0.0', bits: 8 }],
            serverNames: ['*.example.com'],
            applicationProtocols: ['h2'],
            directSourceRanges: [{ address: '::1', bits: 128 }],
            sourceType: 'local',
            sourceRanges: [{ address: '10.0.0.0', bits: 8 }],
            sourcePorts: [1, 2],
          },
        },
        { transportProtocol: 'tls' },
      ],
      defaultChain: { name: 'others' },
      inspection: { timeoutMs: 15_000, continuesOnTimeout: false },
    });
  });

  test('an HTTP inspector decodes where no chain is chosen by what it finds', () => {
    const inspector = {
      name: 'inspector',
      typedConfig: { '@type': `${TYPE}.filters.listener.http_inspector.v3.HttpInspector` },
    };
    const withMatch = (filterChainMatch: JsonObject) => ({
      ...(chainsOf([{ filterChainMatch }]) as object),
      listenerFilters: [inspector],
    });
    const inspection = { timeoutMs: 15_000, continuesOnTimeout: false };
    expect(decoded(LISTENER, withMatch({}))).toMatchObject({ inspection });
    const overTls = { transportProtocol: 'tls', applicationProtocols: ['http/1.1'] };
    expect(decoded(LISTENER, withMatch(overTls))).toMatchObject({ inspection });
    expect(decoded(LISTENER, withMatch({ applicationProtocols: ['h2'] }))).toMatchObject({ inspection });
    for (const name of ['http/1.0', 'http/1.1', 'h2c']) {
      expect(() => decoded(LISTENER, withMatch({ applicationProtocols: ['h2', name] }))).toThrow(
        'filter_chains[0].filter_chain_match.application_protocols[1]',
      );
    }
  });

  test('the mTLS listener that Istio sends to gRPC decodes', () => {
    const json = downstream({
      requireClientCertificate: true,
      commonTlsContext: {
        tlsCertificateProviderInstance: { instanceName: 'default', certificateName: 'default' },
        validationContext: {
          caCertificateProviderInstance: { instanceName: 'default', certificateName: 'ROOTCA' },
        },
      },
    });
    expect(decoded(LISTENER, json)).toMatchObject({
      filterChains: [{ tls: { requireClientCertificate: true, alpn: [] } }],
    });
  });

  const served = { tlsCertificateSdsSecretConfigs: [{ name: 'own', sdsConfig: { ads: {} } }] };

  test('a certificate that SDS brings is named', () => {
    const json = downstream({
      requireClientCertificate: true,
      commonTlsContext: { ...served, validationContextSdsSecretConfig: { name: 'ROOTCA' } },
    });
    expect(decoded(LISTENER, json)).toMatchObject({ filterChains: [{ tls: { certificateSecret: 'own' } }] });
  });

  const certificate = { tlsCertificateSdsSecretConfigs: [{ name: 'default' }] };
  const roots = { validationContextSdsSecretConfig: { name: 'ROOTCA' } };

  test.each<[string, Record<string, JsonValue>, object]>([
    [
      'a served certificate for anybody',
      { commonTlsContext: served },
      { requireClientCertificate: false, alpn: [], certificateSecret: 'own' },
    ],
    [
      'the workload certificate for anybody',
      { commonTlsContext: certificate },
      { requireClientCertificate: false, alpn: [] },
    ],
    [
      'roots that are served',
      {
        requireClientCertificate: true,
        commonTlsContext: {
          ...served,
          validationContextSdsSecretConfig: { name: 'roots', sdsConfig: { ads: {} } },
        },
      },
      {
        requireClientCertificate: true,
        certificateSecret: 'own',
        clients: { roots: undefined, subjectAltNames: [], secret: 'roots' },
      },
    ],
    [
      'optional members of the mesh',
      { commonTlsContext: { ...certificate, ...roots } },
      { requireClientCertificate: false, clients: { roots: 'mesh', subjectAltNames: [] } },
    ],
    [
      'clients of other roots',
      {
        requireClientCertificate: true,
        commonTlsContext: { ...certificate, validationContext: { systemRootCerts: {} } },
      },
      { requireClientCertificate: true, clients: { roots: 'system', subjectAltNames: [] } },
    ],
    [
      'members of these names',
      {
        requireClientCertificate: true,
        commonTlsContext: {
          ...certificate,
          combinedValidationContext: {
            ...roots,
            defaultValidationContext: { matchSubjectAltNames: [{ exact: 'a' }] },
          },
        },
      },
      { clients: { roots: 'mesh', subjectAltNames: [{ kind: 'exact', value: 'a' }] } },
    ],
  ])('takes %s', (_what, context, tls) => {
    expect(decoded(LISTENER, downstream(context))).toMatchObject({ filterChains: [{ tls }] });
  });

  test.each<[string, JsonValue, string]>([
    ['no filter chain', { name: 'l' }, 'filter_chains: must not be empty'],
    [
      'a host name as its address',
      { ...(inbound({}) as object), address: { socketAddress: { address: 'host', portValue: 1 } } },
      'address.socket_address.address: "host" is no IP address',
    ],
    [
      'a pipe',
      { ...(inbound({}) as object), address: { pipe: { path: '/x' } } },
      'address.pipe: is not supported',
    ],
    [
      'a named port',
      { ...(inbound({}) as object), address: { socketAddress: { address: '::1', namedPort: 'http' } } },
      'address.socket_address.named_port: is not supported',
    ],
    [
      'UDP',
      {
        ...(inbound({}) as object),
        address: { socketAddress: { address: '::1', portValue: 1, protocol: 'UDP' } },
      },
      'address.socket_address.protocol: must be TCP',
    ],
    [
      'a port that is none',
      inbound({ filterChainMatch: { sourcePorts: [0] } }),
      'filter_chains[0].filter_chain_match.source_ports[0]: must be a port number',
    ],
    [
      'a partial wildcard',
      inbound({ filterChainMatch: { serverNames: ['*a.example'] } }),
      'filter_chains[0].filter_chain_match.server_names[0]',
    ],
    [
      'a prefix that is too long',
      inbound({ filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 33 }] } }),
      'source_prefix_ranges[0].prefix_len: must be at most 32',
    ],
    [
      'the same match twice',
      chainsOf([{}, { name: 'again' }]),
      'filter_chains[1]: has the same matching rules as another filter chain',
    ],
    [
      'matches that overlap, by another address of the same network',
      chainsOf([
        { filterChainMatch: { prefixRanges: [range('10.1.0.0', 8), range('127.0.0.1', 32)] } },
        { filterChainMatch: { prefixRanges: [range('10.2.3.4', 8)] } },
      ]),
      'filter_chains[1]: has the same matching rules as another filter chain',
    ],
    [
      'a default filter chain that matches',
      {
        ...(inbound({}) as object),
        defaultFilterChain: chainWith({ filterChainMatch: { destinationPort: 1 } }),
      },
      'default_filter_chain.filter_chain_match: is not supported here',
    ],
    [
      'another listener filter',
      { ...(inbound({}) as object), listenerFilters: [{ name: 'x', typedConfig: UNKNOWN }] },
      'listener_filters[0].typed_config: the filter',
    ],
    [
      'another transport protocol',
      inbound({ filterChainMatch: { transportProtocol: 'quic' } }),
      'transport_protocol: "quic" is not supported',
    ],
    [
      'no network filter',
      inbound({ filters: [] }),
      'filter_chains[0].filters: needs the HTTP connection manager',
    ],
    [
      'a second network filter',
      inbound({ filters: [{ name: 'a', typedConfig: HCM }, { name: 'b' }] }),
      'filter_chains[0].filters[1]: nothing may follow here',
    ],
    [
      'a chain without HTTP',
      inbound({ filters: [{ name: 'a', typedConfig: UNKNOWN }] }),
      'filter_chains[0].filters[0].typed_config: must be an HTTP connection manager',
    ],
    [
      'TLS without a certificate',
      downstream({ commonTlsContext: {} }),
      'common_tls_context: needs the workload certificate',
    ],
    [
      'required clients without roots',
      downstream({ requireClientCertificate: true, commonTlsContext: certificate }),
      'a required client certificate needs a validation context',
    ],
    [
      'two served certificates',
      downstream({
        requireClientCertificate: true,
        commonTlsContext: {
          tlsCertificateSdsSecretConfigs: [
            { name: 'own', sdsConfig: { ads: {} } },
            { name: 'other', sdsConfig: { ads: {} } },
          ],
          ...roots,
        },
      }),
      'tls_certificate_sds_secret_configs[0]: excludes other certificates',
    ],
    [
      'a served certificate besides that of a provider',
      downstream({
        requireClientCertificate: true,
        commonTlsContext: {
          ...served,
          ...roots,
          tlsCertificateProviderInstance: { instanceName: 'default' },
        },
      }),
      'tls_certificate_sds_secret_configs[0]: excludes other certificates',
    ],
    [
      'a served certificate from nowhere',
      downstream({
        requireClientCertificate: true,
        commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: 'own' }], ...roots },
      }),
      'tls_certificate_sds_secret_configs[0].sds_config',
    ],
    [
      'a served certificate from files',
      downstream({
        requireClientCertificate: true,
        commonTlsContext: {
          tlsCertificateSdsSecretConfigs: [
            { name: 'own', sdsConfig: { pathConfigSource: { path: '/etc/own.yaml' } } },
          ],
          ...roots,
        },
      }),
      'tls_certificate_sds_secret_configs[0].sds_config',
    ],
    [
      'clients that nobody verifies',
      downstream({
        requireClientCertificate: true,
        commonTlsContext: {
          ...certificate,
          validationContext: { trustChainVerification: 'ACCEPT_UNTRUSTED' },
        },
      }),
      'does not verify the certificates of clients',
    ],
    [
      'an empty default filter chain',
      { ...(inbound({}) as object), defaultFilterChain: {} },
      'default_filter_chain.filters: needs the HTTP connection manager',
    ],
  ])('is refused for %s', (_what, json, message) => {
    expect(refusal(LISTENER, json)).toContain(message);
  });
});
