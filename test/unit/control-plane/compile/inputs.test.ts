import { describe, expect, test } from 'vitest';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import { createMeshConfig, DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { workloadsOfNode } from '../../../../src/control-plane/registry/node-workloads.js';
import { createRegistry } from '../../../../src/control-plane/registry/registry.js';
import { type RegistrySnapshot, snapshotOf } from '../../../../src/control-plane/registry/snapshot.js';
import type { WorkloadHealth } from '../../../../src/control-plane/registry/workload.js';
import type { NodeMetadata } from '../../../../src/model/node.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
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
    expect(complaintsAbout(map('connectTimeout: 2h'))).toEqual([
      '6:9 error INMESH_CONFIG_INVALID connectTimeout: connectTimeout must be from 1ms to 1h',
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

describe('Telemetry', () => {
  const telemetry = (name: string, spec: string, namespace = 'default') => `---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
`;
  const MESH = `---
apiVersion: inmesh.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec:
  extensionProviders:
  - name: errors
    envoyFileAccessLog: {path: /var/log/errors, logFormat: {labels: {status: "%RESPONSE_CODE%"}}}
  defaultProviders: {accessLogging: [envoy]}
  accessLogFormat: "%RESPONSE_CODE%"
`;
  const WEB = { service: 'web', address: '10.0.0.1', port: 80, portName: '', tlsMode: 'istio' as const };
  const logs = (text: string) => {
    const set = compile(service('a', 80) + text, [], nodeOf({ INMESH_WORKLOADS: [WEB] }));
    const sent = set.listeners.get(`${A}:80`);
    const served = set.listenerOf('xds.istio.io/grpc/lds/inbound/10.0.0.1:80');
    const chain = served?.kind === 'inbound' ? served.filterChains[0] : undefined;
    return {
      sent: sent?.kind === 'outbound' ? sent.http.accessLogs : undefined,
      served: chain !== undefined && 'http' in chain ? chain.http?.accessLogs : undefined,
    };
  };

  test('nothing is logged unless somebody says so; the mesh may', () => {
    expect(logs('')).toEqual({ sent: undefined, served: undefined });
    const envoy = {
      sink: { kind: 'stdout' },
      format: { kind: 'text', text: '%RESPONSE_CODE%\n', omitEmptyValues: false },
      filter: undefined,
    };
    expect(logs(MESH)).toEqual({ sent: [envoy], served: [envoy] });
  });

  test('narrower scopes replace providers, filter and switch off', () => {
    const errors = telemetry(
      'ns',
      '{accessLogging: [{providers: [{name: errors}], match: {mode: SERVER}, filter: {expression: "response.code >= 500 || response.code == 429"}}]}',
    );
    const { sent, served } = logs(MESH + errors);
    expect(sent).toMatchObject([{ sink: { kind: 'stdout' } }]);
    expect(served).toEqual([
      {
        sink: { kind: 'file', path: '/var/log/errors' },
        format: { kind: 'json', template: { status: '%RESPONSE_CODE%' }, omitEmptyValues: false },
        filter: {
          kind: 'or',
          filters: [
            { kind: 'status-code', operator: 'ge', value: 500 },
            { kind: 'status-code', operator: 'eq', value: 429 },
          ],
        },
      },
    ]);
    const off = telemetry('w', '{selector: {matchLabels: {app: web}}, accessLogging: [{disabled: true}]}');
    expect(logs(MESH + errors + off)).toEqual({ sent: undefined, served: undefined });
    const other = telemetry(
      'o',
      '{selector: {matchLabels: {app: other}}, accessLogging: [{disabled: true}]}',
    );
    expect(logs(MESH + other).served).toHaveLength(1);
  });

  test('what members do not carry out is refused', () => {
    expect(
      complaintsAbout(
        telemetry(
          't',
          '{metrics: [{reportingInterval: 5s}], accessLogging: [{filter: {expression: "request.host == 1"}}]}',
        ),
      ).map((line) => line.replace(/^\S+ error \S+ /, '')),
    ).toEqual([
      "inmesh does not carry out metrics of Telemetry: metrics are made in the process, all of them, with Istio's tags",
      'inmesh does not carry out expression request.host == 1 of Telemetry: of CEL only comparisons of response.code, of request.duration and of texts of the request are read',
    ]);
  });
});

test('a WorkloadGroup has what its workloads do not say', () => {
  const text =
    service('a', 80) +
    networking(
      'WorkloadGroup',
      'g',
      'metadata: {labels: {app: a}}\ntemplate: {serviceAccount: vm, locality: r/z, weight: 3}',
    );
  const set = compile(text, [
    { service: 'a', address: '10.0.0.1', port: 80 },
    { service: 'a', address: '10.0.0.2', port: 80, serviceAccount: 'own' },
  ]);
  const localities = set.endpoints.get(CLUSTER)?.localities ?? [];
  expect(localities.map(({ locality, weight }) => [locality.region, locality.zone, weight])).toEqual([
    ['r', 'z', 6],
  ]);
  const names = JSON.stringify(set.clusters.get(CLUSTER)?.transportSocketMatches);
  expect(names).toContain('/sa/vm');
  expect(names).toContain('/sa/own');
});

describe('a node that names its WorkloadGroup', () => {
  const group = (more = '') =>
    networking(
      'WorkloadGroup',
      'g',
      `metadata: {labels: {app: a, tier: vm}}\ntemplate: {serviceAccount: vm, labels: {app: x, zone: one}, ports: {http: 8080}}\n${more}`,
    );
  const chosen = networking(
    'ServiceEntry',
    'chosen',
    'hosts: [chosen.test]\nlocation: MESH_INTERNAL\nresolution: STATIC\nworkloadSelector: {labels: {zone: one}}\nports: [{number: 90, name: other, protocol: HTTP, targetPort: 91}]',
  );
  const registered = (metadata: Partial<NodeMetadata>, health?: WorkloadHealth) =>
    snapshotOf(
      workloadsOfNode(nodeOf({ INSTANCE_IPS: '10.0.0.9,::1', SERVICE_ACCOUNT: '', ...metadata }), health) ??
        [],
    );
  const addresses = (text: string, registry: RegistrySnapshot) => {
    const set = createCompiler(DEFAULT_MESH_CONFIG).compile(viewOf(text), registry, nodeOf());
    return [CLUSTER, 'outbound|90||chosen.test'].map((name) =>
      (set.endpoints.get(name)?.localities ?? []).flatMap(({ endpoints }) =>
        endpoints.map(({ address }) => `${address.address}:${address.port}`),
      ),
    );
  };
  const text = service('a', 80) + chosen + group();

  test('serves the ports of the group for whom its labels, the group’s or the template’s are chosen', () => {
    const registry = registered({ AUTO_REGISTER_GROUP: 'g' });
    expect(addresses(text, registry)).toEqual([['10.0.0.9:8080'], ['10.0.0.9:91']]);
    const other = registered({ AUTO_REGISTER_GROUP: 'g', LABELS: { app: 'b' } });
    expect(addresses(text, other)).toEqual([[], ['10.0.0.9:91']]);
    const set = createCompiler(DEFAULT_MESH_CONFIG).compile(viewOf(text), registry, nodeOf());
    expect([...set.listeners.keys()].filter((name) => name.includes('workloadgroup'))).toEqual([]);
    expect(JSON.stringify(set.clusters.get(CLUSTER)?.transportSocketMatches)).toContain('/sa/vm');
  });

  test('serves nothing without that group, in another namespace, or when it says that it is not healthy', () => {
    const named = registered({ AUTO_REGISTER_GROUP: 'missing' });
    expect(addresses(text, named)).toEqual([[], []]);
    const elsewhere = registered({ AUTO_REGISTER_GROUP: 'g', NAMESPACE: 'other' });
    expect(addresses(text, elsewhere)).toEqual([[], []]);
    expect(addresses(text, registered({ AUTO_REGISTER_GROUP: 'g' }, 'unhealthy'))).toEqual([[], []]);
    expect(addresses(text, registered({ AUTO_REGISTER_GROUP: 'g', INMESH_HEALTH: 'unhealthy' }))).toEqual([
      [],
      [],
    ]);
  });

  test('that says which ports it serves serves those, with the account of its group', () => {
    const served = { service: 'a', address: '10.0.0.9', port: 81, portName: '', tlsMode: 'istio' as const };
    const registry = registered({ AUTO_REGISTER_GROUP: 'g', INMESH_WORKLOADS: [served] });
    expect(addresses(text, registry)[0]).toEqual(['10.0.0.9:81']);
  });

  test('joins and leaves in a registry that is followed', () => {
    const registry = createRegistry({ graceMs: 10 }, createFakeClock());
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    const view = viewOf(text);
    const count = () =>
      compiler
        .compile(view, registry.current.value, nodeOf())
        .endpoints.get(CLUSTER)
        ?.localities.flatMap(({ endpoints }) => endpoints).length;
    const counts = [count()];
    registry.lease('n').update(workloadsOfNode(nodeOf({ AUTO_REGISTER_GROUP: 'g' })) ?? []);
    counts.push(count());
    registry.remove('n');
    counts.push(count());
    expect(counts).toEqual([0, 1, 0]);
  });
});

test('kinds about proxies and modules are let pass, and said to have no effect', () => {
  const text = (kind: string, version: string, spec: string) =>
    `apiVersion: ${version}\nkind: ${kind}\nmetadata: {name: a}\nspec: ${spec}\n`;
  const lines = [
    ...complaintsAbout(text('ProxyConfig', 'networking.istio.io/v1beta1', '{concurrency: 2}')),
    ...complaintsAbout(text('WasmPlugin', 'extensions.istio.io/v1alpha1', '{url: "oci://x/y"}')),
  ];
  expect(lines.map((line) => line.replace(/^\S+ /, ''))).toEqual([
    expect.stringContaining('warning INMESH_CONFIG_UNSUPPORTED concurrency of ProxyConfig has no effect'),
    expect.stringContaining('warning INMESH_CONFIG_UNSUPPORTED the kind WasmPlugin has no effect'),
  ]);
});
