import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { withCustom } from '../../../src/codec/codec.js';
import { CLUSTER } from '../../../src/codec/resource-types.js';
import type { ProvidedFiles } from '../../../src/model/custom-filter.js';
import { clusterWith, decoded, endpointAt, refusal } from './wire.js';

const TYPE = 'type.googleapis.com/envoy.extensions';
const UPSTREAM = `${TYPE}.transport_sockets.tls.v3.UpstreamTlsContext`;
const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const OUTLIERS = {};
const THRESHOLDS = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: undefined,
};

const assignment = (...lbEndpoints: JsonValue[]): JsonValue => ({
  clusterName: 'c',
  endpoints: [{ lbEndpoints }],
});
const tlsWith = (commonTlsContext: JsonValue, more = {}): JsonValue =>
  clusterWith({
    transportSocket: { name: 't', typedConfig: { '@type': UPSTREAM, commonTlsContext, ...more } },
  });
const policies = (...configs: JsonValue[]): Record<string, JsonValue> => ({
  loadBalancingPolicy: {
    policies: configs.map((typedConfig) => ({ typedExtensionConfig: { name: 'p', typedConfig } })),
  },
});

test('a cluster with an xdstp name has to name its endpoints (gRFC A47)', () => {
  const name = 'xdstp://a/envoy.config.cluster.v3.Cluster/c';
  expect(refusal(CLUSTER, clusterWith({ name }))).toContain('eds_cluster_config.service_name');
  const edsClusterConfig = { edsConfig: { ads: {} }, serviceName: 'endpoints' };
  expect(decoded(CLUSTER, clusterWith({ name, edsClusterConfig })).discovery).toEqual({
    kind: 'eds',
    serviceName: 'endpoints',
  });
});

describe('defaults', () => {
  test('of a bare EDS cluster are those of Envoy', () => {
    expect(decoded(CLUSTER, clusterWith({}))).toEqual({
      name: 'c',
      discovery: { kind: 'eds', serviceName: 'c' },
      lbPolicy: { kind: 'round-robin' },
      connectTimeoutMs: 5000,
      circuitBreakers: { default: THRESHOLDS, high: THRESHOLDS },
      outlierDetection: undefined,
      tls: undefined,
      transportSocketMatches: [],
      panicThresholdPercent: 50,
      idleTimeoutMs: 3_600_000,
      maxRequestsPerConnection: 0,
      metadata: {},
    });
  });

  test('of outlier detection are those of Envoy', () => {
    expect(decoded(CLUSTER, clusterWith({ outlierDetection: OUTLIERS })).outlierDetection).toEqual({
      intervalMs: 10_000,
      baseEjectionTimeMs: 30_000,
      maxEjectionTimeMs: 300_000,
      maxEjectionTimeJitterMs: 0,
      maxEjectionPercent: 10,
      alwaysEjectOneHost: false,
      splitExternalLocalOriginErrors: false,
      consecutive5xx: { threshold: 5, enforcingPercent: 100 },
      consecutiveGatewayFailure: { threshold: 5, enforcingPercent: 0 },
      consecutiveLocalOriginFailure: { threshold: 5, enforcingPercent: 100 },
      successRate: {
        minimumHosts: 5,
        requestVolume: 100,
        stdevFactor: 1900,
        enforcingPercent: 100,
        enforcingLocalOriginPercent: 100,
      },
      failurePercentage: {
        threshold: 85,
        minimumHosts: 5,
        requestVolume: 50,
        enforcingPercent: 0,
        enforcingLocalOriginPercent: 0,
      },
      detectDegradedHosts: false,
    });
  });

  test('the longest ejection is at least the base', () => {
    const outlierDetection = { ...OUTLIERS, baseEjectionTime: '400s' };
    expect(decoded(CLUSTER, clusterWith({ outlierDetection })).outlierDetection?.maxEjectionTimeMs).toBe(
      400_000,
    );
  });

  test('a retry budget without numbers allows 20 % and three', () => {
    const circuitBreakers = { thresholds: [{ retryBudget: {} }] };
    expect(decoded(CLUSTER, clusterWith({ circuitBreakers })).circuitBreakers.default.retryBudget).toEqual({
      budgetPercent: 20,
      minRetryConcurrency: 3,
    });
  });

  test('least request has two choices and a full bias', () => {
    const expected = { kind: 'least-request', choiceCount: 2, activeRequestBias: 1 };
    const list = policies({ '@type': `${TYPE}.load_balancing_policies.least_request.v3.LeastRequest` });
    expect(decoded(CLUSTER, clusterWith({ lbPolicy: 'LEAST_REQUEST' })).lbPolicy).toEqual(expected);
    expect(decoded(CLUSTER, clusterWith(list)).lbPolicy).toEqual(expected);
  });

  test('a DNS cluster resolves every 5 s', () => {
    const json = { name: 'c', type: 'STRICT_DNS', loadAssignment: assignment(endpointAt('example.com')) };
    expect(decoded(CLUSTER, json).discovery).toMatchObject({ kind: 'strict-dns', refreshRateMs: 5000 });
  });

  test('a cluster without a type is static', () => {
    const json = { name: 'c', loadAssignment: assignment(endpointAt('10.0.0.1')) };
    expect(decoded(CLUSTER, json).discovery.kind).toBe('static');
  });
});

describe('load balancing', () => {
  test('the first known policy of the list is used', () => {
    const list = policies(
      { '@type': 'type.googleapis.com/google.protobuf.Empty' },
      {
        '@type': `${TYPE}.load_balancing_policies.random.v3.Random`,
      },
    );
    expect(decoded(CLUSTER, clusterWith(list)).lbPolicy).toEqual({ kind: 'random' });
  });

  test('the older fields are read without a list', () => {
    const fields = { lbPolicy: 'LEAST_REQUEST', leastRequestLbConfig: { choiceCount: 4 } };
    expect(decoded(CLUSTER, clusterWith(fields)).lbPolicy).toMatchObject({ choiceCount: 4 });
    expect(decoded(CLUSTER, clusterWith({ lbPolicy: 'RANDOM' })).lbPolicy).toEqual({ kind: 'random' });
  });

  test('localities count by weight where that is asked for', () => {
    const older = { lbPolicy: 'RANDOM', commonLbConfig: { localityWeightedLbConfig: {} } };
    const list = policies({
      '@type': `${TYPE}.load_balancing_policies.random.v3.Random`,
      localityLbConfig: { localityWeightedLbConfig: {} },
    });
    const expected = { kind: 'random', locality: { kind: 'weighted' } };
    expect(decoded(CLUSTER, clusterWith(older)).lbPolicy).toEqual(expected);
    expect(decoded(CLUSTER, clusterWith(list)).lbPolicy).toEqual(expected);
  });

  test('hosts start slowly where that is asked for, in both forms', () => {
    const slowStartConfig = {
      slowStartWindow: '30s',
      aggression: { defaultValue: 2, runtimeKey: 'a' },
      minWeightPercent: { value: 5 },
    };
    const slowStart = { windowMs: 30_000, aggression: 2, minWeightPercent: 5 };
    const forms = [
      [{ roundRobinLbConfig: { slowStartConfig } }, 'round-robin'],
      [{ lbPolicy: 'LEAST_REQUEST', leastRequestLbConfig: { slowStartConfig } }, 'least-request'],
      [
        policies({ '@type': `${TYPE}.load_balancing_policies.round_robin.v3.RoundRobin`, slowStartConfig }),
        'round-robin',
      ],
      [
        policies({
          '@type': `${TYPE}.load_balancing_policies.least_request.v3.LeastRequest`,
          slowStartConfig,
        }),
        'least-request',
      ],
    ] as const;
    for (const [fields, kind] of forms) {
      expect(decoded(CLUSTER, clusterWith(fields)).lbPolicy).toMatchObject({ kind, slowStart });
    }
    const plain = { roundRobinLbConfig: { slowStartConfig: { slowStartWindow: '60s' } } };
    expect(decoded(CLUSTER, clusterWith(plain)).lbPolicy).toMatchObject({
      slowStart: { windowMs: 60_000, aggression: 1, minWeightPercent: 10 },
    });
  });

  test('a negative bias counts as the default', () => {
    const fields = {
      lbPolicy: 'LEAST_REQUEST',
      leastRequestLbConfig: { activeRequestBias: { defaultValue: -1 } },
    };
    expect(decoded(CLUSTER, clusterWith(fields)).lbPolicy).toMatchObject({ activeRequestBias: 1 });
  });

  test('least request may look at all hosts', () => {
    const list = policies({
      '@type': `${TYPE}.load_balancing_policies.least_request.v3.LeastRequest`,
      selectionMethod: 'FULL_SCAN',
    });
    expect(decoded(CLUSTER, clusterWith(list)).lbPolicy).toMatchObject({ fullScan: true });
  });

  test('a ring has the defaults of Envoy, in both forms', () => {
    const expected = {
      kind: 'ring-hash',
      hashFunction: 'xx-hash',
      minimumRingSize: 1024,
      maximumRingSize: 8_388_608,
      useHostname: false,
      balanceFactorPercent: 0,
      localityWeighted: false,
    };
    const list = policies({ '@type': `${TYPE}.load_balancing_policies.ring_hash.v3.RingHash` });
    expect(decoded(CLUSTER, clusterWith({ lbPolicy: 'RING_HASH' })).lbPolicy).toEqual(expected);
    expect(decoded(CLUSTER, clusterWith(list)).lbPolicy).toEqual(expected);
  });

  test('a ring and a Maglev table take all of their settings, in both forms', () => {
    const commonLbConfig = {
      consistentHashingLbConfig: { useHostnameForHashing: true, hashBalanceFactor: 150 },
      localityWeightedLbConfig: {},
    };
    const common = { useHostname: true, balanceFactorPercent: 150, localityWeighted: true };
    const ring = { minimumRingSize: 7, maximumRingSize: 9, hashFunction: 'MURMUR_HASH_2' };
    const ringModel = {
      kind: 'ring-hash',
      minimumRingSize: 7,
      maximumRingSize: 9,
      hashFunction: 'murmur-hash-2',
    };
    const forms = [
      [{ lbPolicy: 'RING_HASH', ringHashLbConfig: ring, commonLbConfig }, ringModel],
      [
        policies({
          '@type': `${TYPE}.load_balancing_policies.ring_hash.v3.RingHash`,
          ...ring,
          ...commonLbConfig,
        }),
        ringModel,
      ],
      [
        { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: 1009 }, commonLbConfig },
        { kind: 'maglev', tableSize: 1009 },
      ],
      [
        policies({
          '@type': `${TYPE}.load_balancing_policies.maglev.v3.Maglev`,
          tableSize: 1009,
          ...commonLbConfig,
        }),
        { kind: 'maglev', tableSize: 1009 },
      ],
    ] as const;
    for (const [fields, model] of forms) {
      expect(decoded(CLUSTER, clusterWith(fields)).lbPolicy).toEqual({ ...model, ...common });
    }
  });

  test('the older form of bounded loads in a ring counts without the newer one', () => {
    const list = policies({
      '@type': `${TYPE}.load_balancing_policies.ring_hash.v3.RingHash`,
      useHostnameForHashing: true,
      hashBalanceFactor: 110,
    });
    expect(decoded(CLUSTER, clusterWith(list)).lbPolicy).toMatchObject({
      useHostname: true,
      balanceFactorPercent: 110,
    });
  });
});

describe('connection limits', () => {
  test('come from the extension options', () => {
    const commonHttpProtocolOptions = { idleTimeout: '5s', maxRequestsPerConnection: 3 };
    const options = { '@type': `type.googleapis.com/${OPTIONS}`, commonHttpProtocolOptions };
    const json = clusterWith({ typedExtensionProtocolOptions: { [OPTIONS]: options } });
    expect(decoded(CLUSTER, json)).toMatchObject({ idleTimeoutMs: 5000, maxRequestsPerConnection: 3 });
  });

  test('come from the deprecated fields without them', () => {
    const json = clusterWith({
      commonHttpProtocolOptions: { idleTimeout: '0s' },
      maxRequestsPerConnection: 9,
    });
    expect(decoded(CLUSTER, json)).toMatchObject({ idleTimeoutMs: 0, maxRequestsPerConnection: 9 });
  });
});

describe('TLS to the upstream', () => {
  const instance = { instanceName: 'default' };

  test('by certificate providers, as gRPC has it, is mesh TLS', () => {
    const context = {
      tlsCertificateProviderInstance: instance,
      validationContext: {
        caCertificateProviderInstance: { instanceName: 'default', certificateName: 'ROOTCA' },
        matchSubjectAltNames: [{ exact: 'spiffe://cluster.local/ns/a/sa/b' }],
      },
    };
    expect(decoded(CLUSTER, tlsWith(context)).tls).toEqual({
      mode: 'mesh',
      sni: undefined,
      subjectAltNames: [{ kind: 'exact', value: 'spiffe://cluster.local/ns/a/sa/b', ignoreCase: false }],
      alpn: [],
    });
  });

  test('by the older provider fields that Istio sends to gRPC is mesh TLS', () => {
    const context = {
      tlsCertificateCertificateProviderInstance: { instanceName: 'default', certificateName: 'default' },
      combinedValidationContext: {
        validationContextCertificateProviderInstance: { instanceName: 'default', certificateName: 'ROOTCA' },
        defaultValidationContext: {},
      },
    };
    expect(decoded(CLUSTER, tlsWith(context)).tls?.mode).toBe('mesh');
  });

  test('by other certificate providers is simple TLS by their files', () => {
    const file = (path: string) => ({ kind: 'file', path }) as const;
    const providers = new Map<string, 'mesh' | ProvidedFiles>([
      ['spiffe', 'mesh'],
      ['web', { certificate: { chain: file('c'), key: file('k') }, roots: file('r') }],
      ['roots', { certificate: undefined, roots: file('r') }],
    ]);
    const known = withCustom(CLUSTER, { find: () => undefined, providers });
    const context = (own: string, roots: string) =>
      tlsWith({
        tlsCertificateProviderInstance: { instanceName: own },
        validationContext: { caCertificateProviderInstance: { instanceName: roots } },
      });
    expect(decoded(known, context('spiffe', 'spiffe')).tls?.mode).toBe('mesh');
    expect(decoded(known, context('web', 'roots')).tls).toMatchObject({
      mode: 'simple',
      roots: file('r'),
      certificate: { chain: file('c'), key: file('k') },
    });
    expect(refusal(known, context('roots', 'roots'))).toContain('that has no certificate');
    expect(refusal(known, context('web', 'spiffe'))).toContain('goes with the roots of the mesh');
    expect(refusal(known, context('gone', 'roots'))).toContain('the certificate provider "gone"');
  });

  test('by the system roots in their SDS form is simple TLS', () => {
    const context = { validationContextSdsSecretConfig: { name: 'file-root:system' } };
    expect(decoded(CLUSTER, tlsWith(context)).tls?.mode).toBe('simple');
  });

  test('by files, as Istio names them and as Envoy does', () => {
    const file = (path: string) => ({ kind: 'file', path });
    const tls = {
      mode: 'simple',
      roots: file('/ca.pem'),
      certificate: { chain: file('/cert.pem'), key: file('/key.pem') },
    };
    const forms = [
      {
        tlsCertificateSdsSecretConfigs: [{ name: 'file-cert:/cert.pem~/key.pem' }],
        combinedValidationContext: {
          defaultValidationContext: {},
          validationContextSdsSecretConfig: { name: 'file-root:/ca.pem' },
        },
      },
      {
        tlsCertificates: [
          { certificateChain: { filename: '/cert.pem' }, privateKey: { filename: '/key.pem' } },
        ],
        validationContext: { trustedCa: { filename: '/ca.pem' } },
      },
    ];
    for (const context of forms) expect(decoded(CLUSTER, tlsWith(context)).tls).toMatchObject(tls);
  });

  test('of anybody, when that is said aloud', () => {
    const context = { validationContext: { trustChainVerification: 'ACCEPT_UNTRUSTED' } };
    expect(decoded(CLUSTER, tlsWith(context)).tls?.roots).toBe('none');
  });

  const validated = { validationContext: { systemRootCerts: {} } };
  const roots = { validationContextSdsSecretConfig: { name: 'ROOTCA' } };
  const certificate = { tlsCertificateSdsSecretConfigs: [{ name: 'default' }] };
  const names = (context: Record<string, JsonValue>): JsonValue => ({
    ...certificate,
    combinedValidationContext: { ...roots, defaultValidationContext: context },
  });

  test.each<[string, JsonValue, string]>([
    ['no validation', {}, '.validation_context: is required'],
    [
      'a certificate without the roots of the mesh',
      { ...certificate, validationContext: { systemRootCerts: {} } },
      'goes with the roots of the mesh',
    ],
    ['the roots of the mesh without a certificate', roots, 'goes with the roots of the mesh'],
    [
      'another secret that comes from nowhere',
      { ...roots, tlsCertificateSdsSecretConfigs: [{ name: 'x' }] },
      '.sds_config: is required',
    ],
    [
      'another provider',
      { ...roots, tlsCertificateProviderInstance: { instanceName: 'x' } },
      '.instance_name: the certificate provider "x"',
    ],
    [
      'another certificate',
      { ...roots, tlsCertificateProviderInstance: { instanceName: 'default', certificateName: 'x' } },
      '.certificate_name: the certificate "x"',
    ],
    [
      'a certificate without its chain',
      { ...roots, tlsCertificates: [{}] },
      '.tls_certificates[0].certificate_chain: is required',
    ],
    ['two certificates', { ...roots, tlsCertificates: [{}, {}] }, '.tls_certificates: may have one entry'],
    [
      'a certificate of its own and that of the mesh',
      {
        ...certificate,
        ...roots,
        tlsCertificates: [{ certificateChain: { filename: 'a' }, privateKey: { filename: 'b' } }],
      },
      '.tls_certificates: excludes other certificates',
    ],
    [
      'a file secret without a key',
      { ...roots, tlsCertificateSdsSecretConfigs: [{ name: 'file-cert:/a' }] },
      '.name: must be file-cert:CHAIN~KEY',
    ],
    [
      'names of untrusted peers',
      {
        validationContext: {
          trustChainVerification: 'ACCEPT_UNTRUSTED',
          matchSubjectAltNames: [{ exact: 'a' }],
        },
      },
      '.trust_chain_verification: makes the names',
    ],
    [
      'roots that are not asked',
      { validationContext: { trustChainVerification: 'ACCEPT_UNTRUSTED', systemRootCerts: {} } },
      '.trust_chain_verification: would not ask',
    ],
    [
      'two roots',
      { validationContext: { trustedCa: { filename: 'a' }, systemRootCerts: {} } },
      '.system_root_certs: excludes other roots',
    ],
    [
      'parameters of TLS in the mesh',
      { ...certificate, ...roots, tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2' } },
      '.tls_params: is not supported in the mesh',
    ],
    [
      'versions that exclude each other',
      {
        ...validated,
        tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_3', tlsMaximumProtocolVersion: 'TLSv1_2' },
      },
      '.tls_maximum_protocol_version: is below',
    ],
    [
      'groups of ciphers',
      { ...validated, tlsParams: { cipherSuites: ['[A|B]'] } },
      '.cipher_suites[0]: "[A|B]" is no name',
    ],
    ['a validation context without roots', { ...certificate, validationContext: {} }, 'names no roots'],
    [
      'untrusted peers',
      names({ trustChainVerification: 'ACCEPT_UNTRUSTED' }),
      '.trust_chain_verification: is not supported',
    ],
    [
      'an empty prefix of a name',
      names({ matchSubjectAltNames: [{ prefix: '' }] }),
      '.match_subject_alt_names[0].prefix: must not be empty',
    ],
    [
      'DNS names in the mesh',
      names({ matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: 'a' } }] }),
      '.match_typed_subject_alt_names[0].san_type: must be URI',
    ],
    [
      'both lists of names',
      names({
        matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { exact: 'a' } }],
        matchSubjectAltNames: [{ exact: 'a' }],
      }),
      '.match_subject_alt_names: must not be combined',
    ],
    ['two kinds of roots', names({ systemRootCerts: {} }), '.default_validation_context: names other roots'],
    [
      'a certificate revocation list',
      names({ crl: { inlineString: 'x' } }),
      '.crl: is not supported without',
    ],
  ])('is refused for %s', (_what, context, message) => {
    const error = refusal(CLUSTER, tlsWith(context));
    expect(error).toContain('transport_socket.typed_config.common_tls_context');
    expect(error).toContain(message);
  });

  test('is refused without a context, with a long SNI, and for an unknown socket', () => {
    const socket = (typedConfig?: JsonValue): string =>
      refusal(
        CLUSTER,
        clusterWith({
          transportSocket: typedConfig === undefined ? { name: 'x' } : { name: 'x', typedConfig },
        }),
      );
    expect(socket()).toContain('transport_socket.typed_config: is required');
    expect(socket({ '@type': UPSTREAM })).toContain('common_tls_context: is required');
    expect(
      socket({ '@type': `${TYPE}.transport_sockets.http_11_proxy.v3.Http11ProxyUpstreamTransport` }),
    ).toContain('not supported here');
    const context = { ...certificate, ...roots };
    expect(refusal(CLUSTER, tlsWith(context, { sni: 'a'.repeat(256) }))).toContain(
      'sni: must have at most 255 bytes',
    );
  });
});

describe('a cluster is refused, and the message has the path, for', () => {
  test.each<[string, Record<string, JsonValue>, string]>([
    ['an unsupported field', { useTcpForDnsLookups: true }, 'use_tcp_for_dns_lookups: is not supported'],
    [
      'original destination with a policy of its own',
      { type: 'ORIGINAL_DST', edsClusterConfig: null },
      'lb_policy: must be CLUSTER_PROVIDED',
    ],
    [
      'a policy that nothing provides for',
      { lbPolicy: 'CLUSTER_PROVIDED' },
      'lb_policy: must not be CLUSTER_PROVIDED',
    ],
    ['a cleanup without original destination', { cleanupInterval: '1s' }, 'cleanup_interval: must be set in'],
    ['EDS without its configuration', { edsClusterConfig: null }, 'eds_cluster_config: is required'],
    [
      'EDS from a file',
      { edsClusterConfig: { edsConfig: { path: '/x' } } },
      'eds_cluster_config.eds_config.path: is not supported',
    ],
    [
      'EDS from nowhere',
      { edsClusterConfig: { edsConfig: {} } },
      'eds_cluster_config.eds_config: must be ads or self',
    ],
    [
      'EDS of version 2',
      { edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: 'V2' } } },
      'resource_api_version: must be V3',
    ],
    [
      'EDS with endpoints',
      { loadAssignment: assignment() },
      'load_assignment: must not be set in an EDS cluster',
    ],
    ['a connect timeout of 0', { connectTimeout: '0s' }, 'connect_timeout: must be greater than 0'],
    [
      'a missing list of policies',
      { lbPolicy: 'LOAD_BALANCING_POLICY_CONFIG' },
      'load_balancing_policy: is required',
    ],
    [
      'a list without a known policy',
      policies({ '@type': 'type.googleapis.com/google.protobuf.Empty' }),
      'load_balancing_policy.policies: none of',
    ],
    [
      'a ring whose bounds cross',
      { lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: 20, maximumRingSize: 10 } },
      'ring_hash_lb_config.minimum_ring_size: 20 is above the maximum_ring_size 10',
    ],
    [
      'a ring that is too big',
      { lbPolicy: 'RING_HASH', ringHashLbConfig: { maximumRingSize: 8_388_609 } },
      'ring_hash_lb_config.maximum_ring_size: must be at most 8388608',
    ],
    [
      'a table whose size is no prime',
      { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: 8 } },
      'maglev_lb_config.table_size: must be a prime number',
    ],
    [
      'a bound below the average',
      { lbPolicy: 'MAGLEV', commonLbConfig: { consistentHashingLbConfig: { hashBalanceFactor: 99 } } },
      'consistent_hashing_lb_config.hash_balance_factor: must be at least 100',
    ],
    [
      'one choice',
      { lbPolicy: 'LEAST_REQUEST', leastRequestLbConfig: { choiceCount: 1 } },
      'least_request_lb_config.choice_count: must be at least 2',
    ],
    [
      'a slow start from above its end',
      { roundRobinLbConfig: { slowStartConfig: { minWeightPercent: { value: 101 } } } },
      'round_robin_lb_config.slow_start_config.min_weight_percent: must be between 0 and 100',
    ],
    [
      'a panic threshold above 100',
      { commonLbConfig: { healthyPanicThreshold: { value: 101 } } },
      'common_lb_config.healthy_panic_threshold: must be between 0 and 100',
    ],
    [
      'a panic threshold that is no number',
      { commonLbConfig: { healthyPanicThreshold: { value: 'NaN' } } },
      'healthy_panic_threshold: must be between 0 and 100',
    ],
    [
      'two entries of a priority',
      { circuitBreakers: { thresholds: [{}, {}] } },
      'circuit_breakers.thresholds[1].priority: default has two entries',
    ],
    [
      'thresholds per host for more than connections',
      { circuitBreakers: { perHostThresholds: [{ maxRequests: 3 }] } },
      'circuit_breakers.per_host_thresholds[0].max_requests: is not supported',
    ],
    [
      'outlier percentages above 100',
      { outlierDetection: { ...OUTLIERS, maxEjectionPercent: 101 } },
      'outlier_detection.max_ejection_percent: must be at most 100',
    ],
    [
      'a longest ejection below the base',
      { outlierDetection: { ...OUTLIERS, maxEjectionTime: '1s' } },
      'outlier_detection.max_ejection_time: must not be less',
    ],
    [
      'a failure percentage above 100',
      { outlierDetection: { failurePercentageThreshold: 101 } },
      'outlier_detection.failure_percentage_threshold: must be at most 100',
    ],
    [
      'a socket match without a name',
      { transportSocketMatches: [{}] },
      'transport_socket_matches[0].name: must not be empty',
    ],
    [
      'a socket match that is no string',
      { transportSocketMatches: [{ name: 'a', match: { x: true } }] },
      'transport_socket_matches[0].match["x"]: must be a string',
    ],
    [
      'unknown protocol options',
      { typedExtensionProtocolOptions: { x: { '@type': 'type.googleapis.com/google.protobuf.Empty' } } },
      'typed_extension_protocol_options["x"]: is not supported',
    ],
    [
      'HTTP/3 only',
      {
        typedExtensionProtocolOptions: {
          [OPTIONS]: {
            '@type': `type.googleapis.com/${OPTIONS}`,
            explicitHttpConfig: { http3ProtocolOptions: {} },
          },
        },
      },
      '.explicit_http_config.http3_protocol_options: is not supported',
    ],
  ])('%s', (_what, fields, message) => {
    expect(refusal(CLUSTER, clusterWith(fields))).toContain(message);
  });

  test('a logical DNS cluster with two endpoints', () => {
    const loadAssignment = assignment(endpointAt('a.example'), endpointAt('b.example'));
    const error = refusal(CLUSTER, { name: 'c', type: 'LOGICAL_DNS', loadAssignment });
    expect(error).toContain('load_assignment: must have one locality with one endpoint');
  });

  test('a static cluster with a host name, with EDS, or without endpoints', () => {
    const fixed = { name: 'c', type: 'STATIC' };
    expect(refusal(CLUSTER, { ...fixed, loadAssignment: assignment(endpointAt('a.example')) })).toContain(
      'load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: "a.example" is no IP address',
    );
    expect(refusal(CLUSTER, { ...fixed, edsClusterConfig: {} })).toContain(
      'eds_cluster_config: must be set in an EDS cluster only',
    );
    expect(refusal(CLUSTER, fixed)).toContain('load_assignment: is required');
  });
});
