import { describe, expect, test } from 'vitest';
import { kindNamed } from '../../../../src/control-plane/kinds/kind-names.js';
import { complaintsAbout, ruleWith } from '../load.js';

const messages = (text: string): readonly string[] =>
  complaintsAbout(text, { allowUnsupported: true })
    .filter((line) => line.includes(' error '))
    .map((line) => line.replace(/^\S+ \w+ \S+ /, ''));

const document = (kind: string, apiVersion: string, spec: string): string =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: one}\nspec: ${spec}\n`;

describe('DestinationRule', () => {
  test.each([
    ['trafficPolicy: {}', 'a trafficPolicy needs at least one field'],
    ['trafficPolicy: {connectionPool: {}}', 'a connectionPool needs tcp or http'],
    [
      'trafficPolicy: {outlierDetection: {maxEjectionPercent: 101}}',
      'maxEjectionPercent must be at most 100, not 101',
    ],
    [
      'trafficPolicy: {loadBalancer: {consistentHash: {maglev: {tableSize: 9}}}}',
      'tableSize must be a prime below 5000011',
    ],
    [
      'trafficPolicy: {tls: {mode: MUTUAL, credentialName: c, caCrl: k}}',
      'a caCrl next to a credentialName belongs into its Secret',
    ],
    ['trafficPolicy: {portLevelSettings: [{tls: {mode: SIMPLE}}]}', 'portLevelSettings must name its port'],
    ['subsets: [{name: v1}, {name: v1}]', 'the subset "v1" is already defined'],
    ['subsets: [{name: v_1}]', '"v_1" is not the name of a subset'],
    ['exportTo: ["*", a]', '"*" already covers every other namespace of the list'],
    [
      'trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {a/*: 60, b/*: 30}}]}}}',
      'the weights must add up to 100, not 90',
    ],
  ])('%s is refused', (line, message) => {
    expect(messages(ruleWith(line))).toEqual([message]);
  });
});

describe('ServiceEntry', () => {
  const entry = (spec: string): readonly string[] =>
    messages(document('ServiceEntry', 'networking.istio.io/v1', spec));

  test.each([
    ['{hosts: [], resolution: DNS}', 'hosts must name a host'],
    ['{hosts: ["*.a.com"], resolution: DNS}', 'without endpoints "*.a.com" must be a full DNS name'],
    [
      '{hosts: [a.com], resolution: STATIC, endpoints: [{address: b.com}]}',
      'the address "b.com" must be an IP address',
    ],
    [
      '{hosts: [a.com], endpoints: [{address: 1.1.1.1}]}',
      'the resolution NONE takes no endpoints: use STATIC or DNS',
    ],
    [
      '{hosts: [a.com], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: 1.1.1.1, ports: {htp: 1}}]}',
      'the ServiceEntry has no port named "htp"',
    ],
    [
      '{hosts: [a.com], resolution: DNS, addresses: [10.0.0.0/8]}',
      'the resolution DNS does not allow subnets',
    ],
    [
      '{hosts: [a.com], ports: [{number: 80, name: a}, {number: 80, name: b}]}',
      'the port 80 is already used',
    ],
    ['{hosts: [a.com], ports: [{number: 80, name: a, protocol: SMTP}]}', '"SMTP" is not a protocol'],
  ])('%s is refused', (spec, message) => {
    expect(entry(spec)).toEqual([message]);
  });

  test('an address, a name in DNS and a unix socket are endpoints', () => {
    const port = 'ports: [{number: 80, name: http}]';
    expect(entry(`{hosts: [a.com], resolution: STATIC, ${port}, endpoints: [{address: "::1"}]}`)).toEqual([]);
    expect(entry(`{hosts: [a.com], resolution: DNS, ${port}, endpoints: [{address: b.com}]}`)).toEqual([]);
    expect(entry(`{hosts: [a.com], resolution: STATIC, ${port}, endpoints: [{address: unix:///s}]}`)).toEqual(
      [],
    );
  });
});

test.each([
  ['WorkloadEntry', 'networking.istio.io/v1', '{}', 'address is required'],
  [
    'WorkloadEntry',
    'networking.istio.io/v1',
    '{address: "a.com:80"}',
    '"a.com:80" is neither an IP address nor a DNS name',
  ],
  [
    'PeerAuthentication',
    'security.istio.io/v1',
    '{portLevelMtls: {80: {mode: STRICT}}}',
    'portLevelMtls is for the workloads of a selector with labels',
  ],
  [
    'PeerAuthentication',
    'security.istio.io/v1',
    '{mtls: {mode: strict}}',
    'mode must be one of UNSET, DISABLE, PERMISSIVE, STRICT, not "strict" (did you mean "STRICT"?)',
  ],
  ['Gateway', 'networking.istio.io/v1', '{servers: []}', 'a Gateway needs a server'],
  ['Service', 'v1', '{ports: [{port: 1}, {port: 2, name: b}]}', 'each of several ports needs a name'],
  ['Deployment', 'apps/v1', '{}', 'template is required'],
])('a %s of %s with %s is refused', (kind, apiVersion, spec, message) => {
  expect(messages(document(kind, apiVersion, spec))).toEqual([message]);
});

test('keys that are numbers are names of ports', () => {
  const text = document(
    'PeerAuthentication',
    'security.istio.io/v1',
    '{selector: {matchLabels: {a: b}}, portLevelMtls: {8080: {mode: DISABLE}}}',
  );
  expect(messages(text)).toEqual([]);
});

test('what Kubernetes alone reads is passed over', () => {
  const text = `apiVersion: v1
kind: ServiceAccount
metadata: {name: a, creationTimestamp: null}
secrets: [{name: x}]
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {sessionAffinity: None, ports: [{port: 80, nodePort: 30000}]}
`;
  expect(complaintsAbout(text)).toEqual([]);
});

test('a wrong apiVersion is refused, a missing one too', () => {
  expect(messages(document('DestinationRule', 'networking.istio.io/v2', '{host: a}'))).toEqual([
    'the apiVersion of DestinationRule is networking.istio.io/v1 or networking.istio.io/v1beta1 or ' +
      'networking.istio.io/v1alpha3; not "networking.istio.io/v2"',
  ]);
  expect(messages('kind: Namespace\nmetadata: {name: a}')).toEqual([
    'the apiVersion of Namespace is v1; none is given',
  ]);
});

test.each([
  [
    'Sidecar',
    'networking.istio.io/v1',
    '{ingress: [{port: {number: 80, protocol: HTTPS, name: p}, tls: {mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /r, verifyCertificateHash: [ab]}}]}',
    'verifyCertificateHash of Sidecar',
  ],
])('a %s of %s with %s is not carried out', (kind, apiVersion, spec, what) => {
  const complaints = complaintsAbout(document(kind, apiVersion, spec));
  expect(complaints).toHaveLength(1);
  expect(complaints[0]).toMatch(/ error INMESH_CONFIG_UNSUPPORTED /);
  expect(complaints[0]).toContain(`inmesh does not carry out ${what}: `);
});

test.each([
  ['inboundConnectionPool: {http: {http2MaxRequests: 3}}', 'inboundConnectionPool of Sidecar'],
  [
    'ingress: [{port: {number: 80, protocol: HTTP, name: p}, connectionPool: {tcp: {maxConnections: 3}}}]',
    'connectionPool of Sidecar',
  ],
  [
    'ingress: [{port: {number: 80, protocol: HTTP, name: p}, defaultEndpoint: "127.0.0.1:81"}]',
    'the defaultEndpoint',
  ],
  [
    'ingress: [{port: {number: 80, protocol: HTTP, name: p}, defaultEndpoint: "unix:///run/app.sock"}]',
    'the defaultEndpoint',
  ],
])('what Envoys alone do for an application is warned of: %s', (spec, what) => {
  const complaints = complaintsAbout(document('Sidecar', 'networking.istio.io/v1', `{${spec}}`));
  expect(complaints).toHaveLength(1);
  expect(complaints[0]).toContain(` warning INMESH_CONFIG_UNSUPPORTED ${what} has no effect: `);
  expect(complaints[0]).toContain('Envoys');
});

test('a Gateway that should choose by the SNI of Istio is warned of', () => {
  const spec = `{servers: [{hosts: ["*"], port: {number: 443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}}]}`;
  const complaints = complaintsAbout(document('Gateway', 'networking.istio.io/v1', spec));
  expect(complaints.join('\n')).toMatch(
    / warning INMESH_CONFIG_UNSUPPORTED .*mode AUTO_PASSTHROUGH of Gateway: /,
  );
});

describe('the names of kinds', () => {
  test.each([
    ['vs', 'VirtualService'],
    ['AuthorizationPolicies', 'AuthorizationPolicy'],
    ['endpoints', 'Endpoints'],
    ['proxyconfig', 'ProxyConfig'],
    ['wg', 'WorkloadGroup'],
    ['quotas', 'Quota'],
  ])('%s means %s', (text, kind) => {
    expect(kindNamed(text)).toBe(kind);
  });

  test('nothing else means a kind', () => {
    expect(kindNamed('constructor')).toBeUndefined();
  });
});

describe('kinds of Kubernetes and of inmesh', () => {
  const isRead = (text: string) => expect(messages(text)).toEqual([]);

  test('what stands beside metadata is read there', () => {
    isRead(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}, zone: z1}]
ports: [{name: http, port: 8080}]
`);
    isRead(`apiVersion: v1
kind: Endpoints
metadata: {name: a}
subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]
`);
  });

  test('limits, quotas and breakers', () => {
    isRead(
      document(
        'RateLimitPolicy',
        'inmesh.dev/v1',
        '{selector: {matchLabels: {app: a}}, rules: [{by: [{header: x-user}], limit: {requests: 10, per: 1s}}]}',
      ),
    );
    isRead(
      document(
        'Quota',
        'inmesh.dev/v1',
        '{host: a, service: {host: limits, port: 8081}, domain: shop, descriptors: [{entries: [{key: k, value: v}]}]}',
      ),
    );
    isRead(document('FailureRateBreaker', 'inmesh.dev/v1', '{host: a, errorThresholdPercentage: 50}'));
    expect(
      messages(
        document('RateLimitPolicy', 'inmesh.dev/v1', '{rules: [{by: [{}], limit: {requests: 1, per: 1s}}]}'),
      ),
    ).toEqual(['by[0] must have one of header, queryParameter and remoteAddress']);
  });
});
