import { readdirSync, readFileSync } from 'node:fs';
import { fromJson } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeNode } from '../../../../../src/codec/node.js';
import { type EnvoyBootstrapOptions, envoyBootstrap } from '../../../../../src/control-plane.js';
import { core } from '../../../../../src/proto/xds.js';
import { compile, nodeOf } from '../mesh.js';
import { loadValidator, type Validator } from './pgv.js';
import { wireOf } from './wire.js';

// Everything that is served keeps the rules that Envoy's own files state.

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const root = '../../../../../';
const folders = ['examples/bookinfo/config/', 'examples/hello/', 'test/golden/control-plane/documents/'];
const platform = read(`${root}examples/bookinfo/config/platform.yaml`);
const documents: (readonly [string, string])[] = [
  ['everything', read('everything.yaml')],
  ...folders.flatMap((folder) =>
    readdirSync(new URL(root + folder, import.meta.url))
      .filter((name) => name.endsWith('.yaml') && name !== 'platform.yaml')
      .map((name) => [name, read(root + folder + name)] as const)
      .map(
        ([name, text]) =>
          [
            name,
            folder.includes('bookinfo')
              ? `${platform}\n---\n${read(`${root}${folder}destination-rules.yaml`)}\n---\n${name.startsWith('destination') ? '' : text}`
              : text,
          ] as const,
      ),
  ),
];

const gateway = { istio: 'ingressgateway' };
const nodes = {
  inmesh: nodeOf(),
  grpc: nodeOf({ GENERATOR: 'grpc' }),
  envoy: nodeOf({ GENERATOR: 'envoy', INTERCEPTION_MODE: 'NONE', LABELS: gateway }),
  sidecar: nodeOf({
    GENERATOR: 'envoy',
    INTERCEPTION_MODE: 'TPROXY',
    LABELS: { app: 'reviews', version: 'v1' },
    INSTANCE_IPS: '10.0.0.1',
  }),
};

let validator: Validator;
beforeAll(() => {
  validator = loadValidator();
});

describe.each(Object.entries(nodes))('for %s', (profile, node) => {
  test.each(documents)('%s', (_name, text) => {
    const registered = [
      {
        service: 'reviews',
        version: 'v1',
        address: '127.0.0.1',
        port: 41_000,
        tlsMode: 'istio' as const,
        portName: 'http',
      },
    ];
    const resources = wireOf(compile(text, registered, node));
    const problems = resources.flatMap(({ type, name, bytes }) =>
      validator
        .check(type, bytes)
        // Istio sends gRPC clients the roots by provider alone; they know no SDS.
        .filter((problem) => profile !== 'grpc' || !problem.includes('validation_context_sds_secret_config'))
        .map((problem) => `${name}: ${problem}`),
    );
    expect(resources.length).toBeGreaterThan(0);
    expect(problems).toEqual([]);
  });
});

test('the validator sees what is wrong', () => {
  const type = 'envoy.config.cluster.v3.Cluster';
  expect(validator.check(type, new Uint8Array())).toEqual([`${type}.name: "" breaks minLen`]);
});

test.each<[string, EnvoyBootstrapOptions]>([
  ['beside applications', { controlPlane: '127.0.0.1:15010', name: 'shop' }],
  [
    'at the edge, with TLS',
    {
      controlPlane: 'mesh.example.com:15012',
      name: 'edge',
      namespace: 'edge',
      serviceAccount: 'edge',
      labels: { istio: 'ingressgateway' },
      gateway: true,
      locality: { region: 'eu', zone: 'a' },
      proxyPort: 3128,
      portListeners: true,
      tls: { certificate: 'cert.pem', privateKey: 'key.pem', roots: 'root.pem' },
      delta: true,
    },
  ],
])('the bootstrap file of an Envoy %s keeps the rules', (_, options) => {
  const json = JSON.parse(JSON.stringify(envoyBootstrap(options)));
  expect(validator.checkJson('envoy.config.bootstrap.v3.Bootstrap', json)).toEqual([]);
  // What the control plane makes of the node that the file describes.
  const node = decodeNode(fromJson(core.NodeSchema, json.node));
  expect(compile(documents[0]?.[1] ?? '', [], node).wireListeners.size).toBeGreaterThan(0);
});

test('documents add to a bootstrap file: metadata of ProxyConfigs, patches of EnvoyFilters', () => {
  const content = `
apiVersion: inmesh.dev/v1
kind: MeshConfig
metadata: { name: mesh }
spec: { defaultConfig: { proxyMetadata: { ISTIO_META_A: mesh, ISTIO_META_B: mesh, OTHER: x } } }
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: { name: all, namespace: istio-system }
spec: { environmentVariables: { ISTIO_META_B: root, ISTIO_META_C: root } }
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: { name: web, namespace: default }
spec: { selector: { matchLabels: { app: web } }, environmentVariables: { ISTIO_META_C: web } }
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: stats, namespace: default }
spec:
  configPatches:
  - applyTo: BOOTSTRAP
    patch:
      operation: MERGE
      value:
        statsFlushInterval: 5s
        stats_config: { statsTags: [{ tagName: version, regex: "(v[0-9])" }] }
        static_resources: { clusters: [{ name: zipkin, type: STRICT_DNS, connectTimeout: 1s, loadAssignment: { clusterName: zipkin } }] }
        node: { metadata: { KEEP_myKey: 1 } }
  - applyTo: BOOTSTRAP
    match: { proxy: { metadata: { A: none } } }
    patch: { operation: MERGE, value: { stats_flush_interval: 7s } }
`;
  const make = (labels: Record<string, string>) =>
    JSON.parse(
      JSON.stringify(
        envoyBootstrap({
          controlPlane: '127.0.0.1:15010',
          name: 'web',
          labels,
          documents: { files: [{ file: 'mesh.yaml', content }] },
        }),
      ),
    );
  const json = make({ app: 'web' });
  expect(validator.checkJson('envoy.config.bootstrap.v3.Bootstrap', json)).toEqual([]);
  expect(json).toMatchObject({
    node: { metadata: { A: 'mesh', B: 'root', C: 'web', KEEP_myKey: 1, NAMESPACE: 'default' } },
    stats_flush_interval: '5s',
    stats_config: { stats_tags: [{ tag_name: 'version', regex: '(v[0-9])' }] },
  });
  expect(json.node.metadata).not.toHaveProperty('OTHER');
  expect(json.static_resources.clusters.map(({ name }: { name: string }) => name)).toEqual([
    'xds-grpc',
    'zipkin',
  ]);
  expect(make({}).node.metadata.C).toBe('root');
  const files = [{ file: 'x.yaml', content: 'kind: Nothing' }];
  expect(() => envoyBootstrap({ controlPlane: '127.0.0.1:1', name: 'x', documents: { files } })).toThrow(
    /unknown kind/,
  );
});

test('a bootstrap file needs the address of a control plane', () => {
  expect(() => envoyBootstrap({ controlPlane: 'nowhere', name: 'x' })).toThrow(/not host:port/);
});
