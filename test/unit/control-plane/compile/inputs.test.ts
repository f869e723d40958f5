import { describe, expect, test } from 'vitest';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import { createMeshConfig } from '../../../../src/control-plane/compile/mesh-config.js';
import { complaintsAbout } from '../load.js';
import { compile, forwarding, networking, nodeOf, registryOf, routesOf, service, viewOf } from './mesh.js';

const A = 'a.default.svc.cluster.local';
const CLUSTER = `outbound|80||${A}`;

describe('endpoints that Kubernetes lists', () => {
  const addressesOf = (text: string, cluster = CLUSTER) =>
    compile(text)
      .endpoints.get(cluster)
      ?.localities.flatMap(({ locality, endpoints }) =>
        endpoints.map(({ address }) => `${address.address}:${address.port} ${locality.zone}`),
      );

  const slice = (body: string) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a-1, labels: {kubernetes.io/service-name: a}}
${body}
`;

  test('are where the service is served, ready ones alone', () => {
    const text =
      service('a', 80) +
      slice(`addressType: IPv4
endpoints:
- {addresses: [10.0.0.1], zone: z1}
- {addresses: [10.0.0.2], conditions: {ready: false}}
- {addresses: [10.0.0.3], conditions: {ready: true}, zone: z2}
ports: [{name: http, port: 8080}, {name: other, port: 9}]`);
    expect(addressesOf(text)).toEqual(['10.0.0.1:8080 z1', '10.0.0.3:8080 z2']);
  });

  test('Endpoints serve where no slice does, names of hosts nowhere', () => {
    const endpoints = `---
apiVersion: v1
kind: Endpoints
metadata: {name: a}
subsets: [{addresses: [{ip: 10.0.0.9}], ports: [{name: http, port: 81}]}]
`;
    expect(addressesOf(service('a', 80) + endpoints)).toEqual(['10.0.0.9:81 ']);
    const names = slice(
      'addressType: FQDN\nendpoints: [{addresses: [x.example]}]\nports: [{name: http, port: 1}]',
    );
    expect(addressesOf(service('a', 80) + names)).toEqual([]);
  });

  test('have the labels and identity of their Pods', () => {
    const text = `${service('a', 80)}${slice(`addressType: IPv4
endpoints:
- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: one}}
- {addresses: [10.0.0.2], targetRef: {kind: Pod, name: two}}
ports: [{name: http, port: 80}]`)}---
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: a, version: v1}}
spec: {serviceAccountName: first}
---
apiVersion: v1
kind: Pod
metadata: {name: two, labels: {app: a, version: v2}}
spec: {}
${networking('DestinationRule', 'a', 'host: a\nsubsets: [{name: v1, labels: {version: v1}}]')}`;
    expect(addressesOf(text, `outbound|80|v1|${A}`)).toEqual(['10.0.0.1:80 ']);
    const names = compile(text).clusters.get(CLUSTER)?.transportSocketMatches[0]?.tls;
    expect(JSON.stringify(names)).toContain('/ns/default/sa/first');
  });
});

describe('a MeshConfig', () => {
  const mesh = (spec: string) => `---
apiVersion: inmesh.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec: ${spec}
`;
  const cluster = (text: string) => compile(service('a', 80) + text).clusters.get(CLUSTER);

  test('says what connections are like where no rule does', () => {
    const text = mesh(
      '{connectTimeout: 3s, tcpKeepalive: {time: 9s}, h2UpgradePolicy: UPGRADE, defaultTrafficPolicy: {outlierDetection: {consecutive5xxErrors: 7}}}',
    );
    expect(cluster(text)).toMatchObject({
      connectTimeoutMs: 3000,
      tcpKeepaliveMs: 9000,
      protocol: { kind: 'http2' },
      outlierDetection: { consecutive5xx: { threshold: 7 } },
    });
    const rule = networking(
      'DestinationRule',
      'a',
      'host: a\ntrafficPolicy: {outlierDetection: {consecutive5xxErrors: 2}}',
    );
    expect(cluster(text + rule)?.outlierDetection?.consecutive5xx.threshold).toBe(2);
  });

  test('switches automatic mTLS off', () => {
    expect(cluster('')?.transportSocketMatches).toHaveLength(2);
    expect(cluster(mesh('{enableAutoMtls: false}'))?.transportSocketMatches).toEqual([]);
  });

  test('says how routes retry that do not say', () => {
    const retries = (text: string) =>
      forwarding(routesOf(compile(service('a', 80) + text), A, 80)[0]).retryPolicy;
    const text = mesh('{defaultHttpRetryPolicy: {attempts: 5, retryOn: "503"}}');
    expect(retries(text)).toMatchObject({ numRetries: 5, retriableStatusCodes: [503] });
    const route = networking(
      'VirtualService',
      'a',
      'hosts: [a]\nhttp: [{retries: {attempts: 1}, route: [{destination: {host: a}}]}]',
    );
    expect(retries(text + route)).toMatchObject({ numRetries: 1 });
  });

  test('says who sees documents that do not say', () => {
    const text =
      service('a', 80) +
      networking(
        'VirtualService',
        'a',
        'hosts: [a]\nhttp: [{timeout: 1s, route: [{destination: {host: a}}]}]',
      ) +
      mesh('{defaultVirtualServiceExportTo: ["."], defaultServiceExportTo: ["."]}');
    const other = compile(text, [], nodeOf({ NAMESPACE: 'other' }));
    expect([...other.listeners.keys()]).toEqual([]);
    expect(forwarding(routesOf(compile(text), A, 80)[0]).timeoutMs).toBe(1000);
  });

  test("is also read from Istio's ConfigMap, whose mistakes are told", () => {
    const map = (text: string) => `---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |-
    ${text}
`;
    expect(cluster(map('connectTimeout: 4s'))?.connectTimeoutMs).toBe(4000);
    expect(complaintsAbout(map('connectTimeout: soon'))).toEqual([
      '6:9 error INMESH_CONFIG_INVALID connectTimeout: connectTimeout must be a duration such as 1s or 250ms, not "soon"',
    ]);
  });

  test('gives way to what code sets', () => {
    const view = viewOf(
      service('a', 80) + mesh('{outboundTrafficPolicy: {mode: REGISTRY_ONLY}, trustDomain: other}'),
    );
    const blocks = (settings: object) =>
      createCompiler(createMeshConfig(settings)).compile(view, registryOf([]), nodeOf()).listeners.has('*');
    expect(blocks({})).toBe(true);
    const identities = (settings: object) =>
      JSON.stringify([
        ...createCompiler(createMeshConfig(settings))
          .compile(view, registryOf([]), nodeOf())
          .clusters.values(),
      ]);
    expect(identities({})).toContain('spiffe://other/');
    expect(identities({ hasOwnTrustDomain: true })).toContain('spiffe://cluster.local/');
  });

  test('what of it is not followed is told', () => {
    expect(complaintsAbout(mesh('{caCertificates: [{pem: x}], ingressClass: istio}'))).toEqual([
      expect.stringContaining('error INMESH_CONFIG_UNSUPPORTED inmesh does not carry out caCertificates'),
      expect.stringContaining('warning INMESH_CONFIG_UNSUPPORTED ingressClass of MeshConfig has no effect'),
    ]);
  });
});
