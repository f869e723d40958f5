import type { JsonValue } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import type { ResourceType } from '../../src/codec/codec.js';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION } from '../../src/codec/resource-types.js';
import { completeType, EngineUnderTest, packed, readRequest, response, wrappedResponse } from '../unit/xds/engine-fixtures.js';
import { vectorJson, vectorSuite } from './score.js';
import { clusterWith, endpointAt, listenerWith, refusalOfBytes, ROUTER, tableWithRoute, wire } from '../unit/codec/wire.js';

interface Row {
  readonly resource: string;
  readonly id: string;
  readonly what: string;
  readonly expect: string;
}

const FILE = 'xds/nack-catalogue.json';
const rows = (vectorJson(FILE) as { ours: readonly Row[] } | undefined)?.ours ?? [];

/** Rows that no decoder of one resource can answer, each with who does. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  '50MB-response': 'a limit of the stream, see its integration test',
  'aggregate-diamond-10': 'resolution, see the unit tests of aggregate clusters',
  'link-local-address': 'a policy of the process that dials, not a rule of the resource',
};

interface Answer {
  readonly type: ResourceType<unknown>;
  readonly bytes: Uint8Array;
  readonly verdict: 'accept' | 'refuse';
}

const refused = (type: ResourceType<unknown>, json: JsonValue): Answer => ({ type, bytes: wire(type, json), verdict: 'refuse' });
const accepted = (type: ResourceType<unknown>, json: JsonValue): Answer => ({ type, bytes: wire(type, json), verdict: 'accept' });

const tables = (...domains: string[][]): JsonValue => ({ name: 'r', virtualHosts: domains.map((list) => ({ name: 'v', domains: list })) });
const retry = (retryPolicy: JsonValue): JsonValue => tableWithRoute({ route: { cluster: 'c', retryPolicy } });
const rbac = (rules: JsonValue): JsonValue =>
  listenerWith([
    { name: 'rbac', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC', rules } },
    ROUTER,
  ]);
const policyFor = (...permissions: JsonValue[]): JsonValue => ({ policies: { p: { permissions, principals: [{ any: true }] } } });
const tls = (match: Record<string, JsonValue>): JsonValue =>
  clusterWith({
    transportSocket: {
      name: 'tls',
      typedConfig: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        commonTlsContext: {
          tlsCertificateSdsSecretConfigs: [{ name: 'default' }],
          combinedValidationContext: {
            validationContextSdsSecretConfig: { name: 'ROOTCA' },
            defaultValidationContext: match,
          },
        },
      },
    },
  });
const endpoints = (...localities: JsonValue[]): JsonValue => ({ clusterName: 'c', endpoints: localities });
const polluted = { name: 'c', match: JSON.parse('{"__proto__": "x", "constructor": "y"}') as JsonValue };

/** Every row with the resource it describes and what we do with it. Where a row leaves a choice, the comment says which. */
const ANSWERS: Readonly<Record<string, () => Answer>> = {
  'any-bad-bytes': () => ({ type: LISTENER, bytes: new Uint8Array([0xff, 0xff, 0xff]), verdict: 'refuse' }),
  'unknown-fields': () => ({
    type: ROUTE_CONFIGURATION,
    bytes: new Uint8Array([...wire(ROUTE_CONFIGURATION, tables(['a'])), 0xba, 0x3e, 0x01, 0x78]),
    verdict: 'accept',
  }),
  'length-overrun': () => ({ type: CLUSTER, bytes: new Uint8Array([0x0a, 0x7f, 0x61]), verdict: 'refuse' }),
  'utf8-invalid-string': () => ({ type: CLUSTER, bytes: new Uint8Array([0x0a, 0x02, 0xff, 0xfe]), verdict: 'refuse' }),
  'proto-pollution-map-key': () => accepted(CLUSTER, clusterWith({ transportSocketMatches: [polluted] })),
  'no-hcm': () => refused(LISTENER, { name: 'l', filterChains: [{}] }),
  'router-not-last': () => refused(LISTENER, listenerWith([ROUTER, { ...(ROUTER as object), name: 'again' }])),
  'unknown-filter-required': () =>
    refused(LISTENER, listenerWith([{ name: 'x', typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Empty' } }, ROUTER])),
  // RBAC is no supported filter yet, so any of it is refused.
  'rbac-bad-cidr': () => refused(LISTENER, rbac(policyFor({ destinationIp: { addressPrefix: 'nonsense', prefixLen: 8 } }))),
  'rbac-unsupported-field-in-not': () => refused(LISTENER, rbac(policyFor({ notRule: { metadata: { filter: 'x' } } }))),
  'no-virtual-host-domains': () => refused(ROUTE_CONFIGURATION, tables([])),
  'dup-domain': () => refused(ROUTE_CONFIGURATION, tables(['a'], ['a'])),
  'bad-domain-wildcard': () => refused(ROUTE_CONFIGURATION, tables(['a.*.b'])),
  'weights-sum-zero': () =>
    refused(ROUTE_CONFIGURATION, tableWithRoute({ route: { weightedClusters: { clusters: [{ name: 'a', weight: 0 }] } } })),
  // As Envoy: accepted, and it never matches.
  'header-range-inverted': () =>
    accepted(ROUTE_CONFIGURATION, tableWithRoute({ match: { prefix: '/', headers: [{ name: 'x', rangeMatch: { start: '9', end: '1' } }] } })),
  'no-action': () =>
    refused(ROUTE_CONFIGURATION, { name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' } }] }] }),
  'retry-max-0': () => refused(ROUTE_CONFIGURATION, retry({ numRetries: 0 })),
  'retry-backoff-inverted': () => refused(ROUTE_CONFIGURATION, retry({ retryBackOff: { baseInterval: '2s', maxInterval: '1s' } })),
  'timeout-negative': () => refused(ROUTE_CONFIGURATION, tableWithRoute({ route: { cluster: 'c', timeout: '-1s' } })),
  'hash-policy-bad-regex': () =>
    refused(
      ROUTE_CONFIGURATION,
      tableWithRoute({
        route: { cluster: 'c', hashPolicy: [{ header: { headerName: 'x', regexRewrite: { pattern: { regex: '(' } } } }] },
      }),
    ),
  'logical-dns-2-endpoints': () =>
    refused(CLUSTER, {
      name: 'c',
      type: 'LOGICAL_DNS',
      loadAssignment: endpoints({ lbEndpoints: [endpointAt('a.example'), endpointAt('b.example')] }) ,
    }),
  'ring-size-inverted': () =>
    refused(CLUSTER, clusterWith({ lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: '9', maximumRingSize: '1' } })),
  'od-percent-101': () => refused(CLUSTER, clusterWith({ outlierDetection: { enforcingSuccessRate: 0, maxEjectionPercent: 101 } })),
  'tls-empty-prefix': () => refused(CLUSTER, tls({ matchSubjectAltNames: [{ prefix: '' }] })),
  // The policy is explicit: mesh TLS always verifies the chain against the mesh's bundle and the peer's SPIFFE ID.
  'tls-no-san': () => accepted(CLUSTER, tls({})),
  'max-requests-0': () => accepted(CLUSTER, clusterWith({ circuitBreakers: { thresholds: [{ maxRequests: 0 }] } })),
  'lrs-non-self': () => refused(CLUSTER, clusterWith({ lrsServer: { ads: {} } })),
  'priority-gap': () => refused(CLUSTER_LOAD_ASSIGNMENT, endpoints({ priority: 0 }, { priority: 2 })),
  'dup-address': () => refused(CLUSTER_LOAD_ASSIGNMENT, endpoints({ lbEndpoints: [endpointAt('10.0.0.1'), endpointAt('10.0.0.1')] })),
  'weight-0': () => refused(CLUSTER_LOAD_ASSIGNMENT, endpoints({ lbEndpoints: [endpointAt('10.0.0.1', { loadBalancingWeight: 0 })] })),
  'weight-overflow': () =>
    refused(
      CLUSTER_LOAD_ASSIGNMENT,
      endpoints({ lbEndpoints: [endpointAt('10.0.0.1', { loadBalancingWeight: 4_294_967_295 }), endpointAt('10.0.0.2')] }),
    ),
  'dup-locality': () => refused(CLUSTER_LOAD_ASSIGNMENT, endpoints({ locality: { zone: 'a' } }, { locality: { zone: 'a' } })),
  'hostname-address': () => refused(CLUSTER_LOAD_ASSIGNMENT, endpoints({ lbEndpoints: [endpointAt('example.com')] })),
  'drop-100': () =>
    accepted(CLUSTER_LOAD_ASSIGNMENT, {
      clusterName: 'c',
      policy: { dropOverloads: [{ category: 'all', dropPercentage: { numerator: 100 } }] },
    }),
};

function engine() {
  const type = completeType();
  const under = new EngineUnderTest();
  under.protocol.subscribe(type, new Set(['*']));
  under.protocol.reconnect();
  const receive = (bytes: Uint8Array) => {
    const { changes, reply } = under.receive(bytes);
    return { changes: changes.map(({ kind, name }) => `${kind} ${name}`), reply: readRequest(reply) };
  };
  return { type, receive };
}

/** Rows about responses, which the protocol engine answers. */
const OF_RESPONSES: Readonly<Record<string, () => void>> = {
  'empty-nonce': () => {
    const { type, receive } = engine();
    expect(() => receive(response(type, '1', '', [packed(type, 'a', 'x')]))).not.toThrow();
  },
  'wrapped-resource': () => {
    const { type, receive } = engine();
    const { changes, reply } = receive(wrappedResponse(type, '1', 'n', [{ name: 'a', word: 'x' }]));
    expect([changes, reply?.error]).toEqual([['updated a'], undefined]);
  },
  'good-and-bad-mixed': () => {
    const { type, receive } = engine();
    const good = Array.from({ length: 99 }, (_, index) => packed(type, `good-${index}`, 'x'));
    const { changes, reply } = receive(response(type, '1', 'n', [...good, packed(type, 'the-bad-one', 'bad')]));
    expect(changes.filter((one) => one.startsWith('updated '))).toHaveLength(99);
    expect(reply?.error).toContain('the-bad-one');
    expect(reply?.error).not.toContain('good-');
  },
  'version-not-advanced': () => {
    const { type, receive } = engine();
    receive(response(type, 'accepted', 'n1', [packed(type, 'a', 'x')]));
    const { reply } = receive(response(type, 'refused', 'n2', [packed(type, 'a', 'bad')]));
    expect([reply?.version, reply?.nonce, reply?.error !== undefined]).toEqual(['accepted', 'n2', true]);
  },
};

vectorSuite({
  file: FILE,
  cases: rows,
  title: ({ id, what }) => `${id}: ${what}`,
  skip: ({ id }) => ELSEWHERE[id],
  run({ id, expect: expected }) {
    const ofResponse = OF_RESPONSES[id];
    if (ofResponse !== undefined) {
      ofResponse();
      return;
    }
    const answer = ANSWERS[id]?.();
    if (answer === undefined) throw new Error('nobody answers it');
    const { type, bytes, verdict } = answer;
    if (verdict === 'refuse') expect(refusalOfBytes(type, bytes)).toContain('INMESH_XDS_DECODE');
    else expect(() => type.decode(bytes)).not.toThrow();
    if (expected.startsWith('NACK')) expect(verdict).toBe('refuse');
    if (expected.startsWith('accept')) expect(verdict).toBe('accept');
  },
});

test('keys that are dangerous in JavaScript stay plain keys', () => {
  const bytes = wire(CLUSTER, clusterWith({ transportSocketMatches: [polluted] }));
  const { resource } = CLUSTER.decode(bytes);
  expect(Object.keys(resource.transportSocketMatches[0]?.match ?? {})).toEqual(['__proto__', 'constructor']);
  expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  expect(Object.getPrototypeOf(resource.transportSocketMatches[0]?.match)).toBe(Object.prototype);
});
