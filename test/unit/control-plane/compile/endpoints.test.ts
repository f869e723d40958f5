import { describe, expect, test } from 'vitest';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import type { WorkloadInput } from '../../../../src/control-plane/registry/workload.js';
import type { ResourceSet } from '../../../../src/control-plane/resources/resource-set.js';
import { compile, networking, nodeOf, registryOf, service, viewOf } from './mesh.js';

const reviews = (port: number, version = 'v1', more: Partial<WorkloadInput> = {}): WorkloadInput => ({
  service: 'reviews',
  version,
  address: '127.0.0.1',
  port,
  tlsMode: 'istio',
  ...more,
});

const endpointsOf = (set: ResourceSet, name: string) =>
  set.endpoints.get(name)?.localities.flatMap(({ endpoints }) => endpoints);
const portsOf = (set: ResourceSet, name: string) =>
  endpointsOf(set, name)?.map(({ address }) => address.port);
const REVIEWS = 'reviews.default.svc.cluster.local';
const ALL = `outbound|9080||${REVIEWS}`;

test('registered workloads serve their service, subsets those with the labels', () => {
  const rule = networking(
    'DestinationRule',
    'r',
    'host: reviews\nsubsets: [{ name: v2, labels: { version: v2 } }]',
  );
  const set = compile(service('reviews') + rule, [reviews(4001), reviews(4002, 'v2')]);
  expect(portsOf(set, ALL)).toEqual([4001, 4002]);
  expect(portsOf(set, `outbound|9080|v2|${REVIEWS}`)).toEqual([4002]);
});

test('endpoints name their workload as Istio writes it, for the metrics of their callers', () => {
  const workloadOf = (config: string, workloads: WorkloadInput[], name = ALL) =>
    endpointsOf(compile(config, workloads), name)?.map(({ metadata }) => metadata['istio']?.['workload']);
  expect(workloadOf(service('reviews'), [reviews(4001, 'v1', { clusterId: 'east' })])).toEqual([
    'reviews;default;reviews;v1;east',
  ]);
  const canonical = {
    'service.istio.io/canonical-name': 'books',
    'service.istio.io/canonical-revision': 'canary',
  };
  expect(workloadOf(service('reviews'), [reviews(4001, '', { labels: canonical })])).toEqual([
    'reviews;default;books;canary;Kubernetes',
  ]);
  expect(workloadOf(service('reviews'), [reviews(4001, '')])).toEqual([
    'reviews;default;reviews;latest;Kubernetes',
  ]);
  const entry = networking(
    'ServiceEntry',
    'payments',
    'hosts: [pay.example]\nports: [{ number: 80, name: http, protocol: HTTP }]\nresolution: STATIC\nendpoints: [{ address: 10.0.0.1 }]',
  );
  expect(workloadOf(entry, [], 'outbound|80||pay.example')).toEqual(['payments;default;;;']);
});

test('a cluster without workloads has an empty assignment, so that clients need not wait for one', () => {
  expect(compile(service('reviews')).endpoints.get(ALL)?.localities).toEqual([]);
});

test('a workload without a document makes a service on port 80', () => {
  const set = compile('', [reviews(4001)]);
  expect(set.listeners.has(`${REVIEWS}:80`)).toBe(true);
  expect(portsOf(set, `outbound|80||${REVIEWS}`)).toEqual([4001]);
});

test('workloads of another namespace do not serve it', () => {
  expect(portsOf(compile(service('reviews'), [reviews(4001, 'v1', { namespace: 'other' })]), ALL)).toEqual(
    [],
  );
});

test('a label that contradicts the selector keeps a workload out', () => {
  const text = service('reviews').replace('app: reviews', 'app: reviews, version: v1');
  expect(portsOf(compile(text, [reviews(4001), reviews(4002, 'v2')]), ALL)).toEqual([4001]);
});

test('a service that selects the labels has the workloads of another name too', () => {
  const text = `${service('reviews')}${service('reviews-v1').replace('app: reviews-v1', 'app: reviews, version: v1')}`;
  const set = compile(text, [reviews(4001), reviews(4002, 'v2')]);
  expect(portsOf(set, 'outbound|9080||reviews-v1.default.svc.cluster.local')).toEqual([4001]);
});

test('of several ports a workload serves the one it names', () => {
  const text = service('reviews').replace('ports: [', 'ports: [{ name: grpc, port: 9090 }, ');
  const set = compile(text, [
    reviews(4001, 'v1', { portName: 'http' }),
    reviews(4002, 'v1', { portName: 'grpc' }),
  ]);
  expect(portsOf(set, ALL)).toEqual([4001]);
  expect(portsOf(set, `outbound|9090||${REVIEWS}`)).toEqual([4002]);
});

test('an address that is registered twice is one endpoint', () => {
  expect(portsOf(compile(service('reviews'), [reviews(4001), reviews(4001)]), ALL)).toEqual([4001]);
});

test('a workload that does not say its service account has its Deployment’s', () => {
  const deployment = `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: reviews-v1 }
spec:
  template:
    metadata: { labels: { app: reviews, version: v1 } }
    spec: { serviceAccountName: bookinfo-reviews }
`;
  const names = compile(service('reviews') + deployment, [reviews(4001)]).clusters.get(ALL)
    ?.transportSocketMatches[0]?.tls?.subjectAltNames;
  expect(names).toMatchObject([{ value: 'spiffe://cluster.local/ns/default/sa/bookinfo-reviews' }]);
});

describe('mesh mTLS', () => {
  const peer = (mode: string) => networking('PeerAuthentication', 'p', `mtls: { mode: ${mode} }`);
  const matchOf = (text: string, workload: WorkloadInput) =>
    endpointsOf(compile(service('reviews') + text, [workload]), ALL)?.[0]?.transportSocketMatch;

  test('is offered by endpoints that accept it', () => {
    expect(matchOf('', reviews(4001))).toEqual({ tlsMode: 'istio' });
  });

  test('is not offered by those that speak plaintext only, nor where it is disabled', () => {
    expect(matchOf('', reviews(4001, 'v1', { tlsMode: 'disabled' }))).toEqual({});
    expect(matchOf(peer('DISABLE'), reviews(4001))).toEqual({});
  });
});

describe('ServiceEntry', () => {
  const entry = (spec: string) => networking('ServiceEntry', 'ext', `hosts: [api.example.com]\n${spec}`);
  const PORT = 'ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }]';
  const NAME = 'outbound|80||api.example.com';

  test('STATIC endpoints are sent, at the target port, in their localities, without mTLS', () => {
    const endpoints =
      'endpoints: [{ address: 10.0.0.1, locality: eu/a/1, weight: 3 }, { address: 10.0.0.2, ports: { http: 9 } }]';
    const set = compile(entry(`${PORT}\nresolution: STATIC\n${endpoints}`));
    expect(set.endpoints.get(NAME)?.localities).toMatchObject([
      { locality: { region: '' }, weight: 1, endpoints: [{ address: { address: '10.0.0.2', port: 9 } }] },
      {
        locality: { region: 'eu', zone: 'a', subZone: '1' },
        weight: 3,
        endpoints: [{ address: { address: '10.0.0.1', port: 8080 }, weight: 3, transportSocketMatch: {} }],
      },
    ]);
    expect(set.clusters.get(NAME)).toMatchObject({ tls: undefined, transportSocketMatches: [] });
  });

  test('DNS looks the host up, or the names of its endpoints', () => {
    const own = compile(entry(`${PORT}\nresolution: DNS`)).clusters.get(NAME)?.discovery;
    expect(own).toMatchObject({
      kind: 'strict-dns',
      refreshRateMs: 60_000,
      assignment: { localities: [{ endpoints: [{ address: { address: 'api.example.com', port: 8080 } }] }] },
    });
    const other = compile(
      entry(`${PORT}\nresolution: DNS_ROUND_ROBIN\nendpoints: [{ address: b.example.com }]`),
    );
    expect(other.clusters.get(NAME)?.discovery).toMatchObject({
      kind: 'logical-dns',
      assignment: { localities: [{ endpoints: [{ address: { address: 'b.example.com' } }] }] },
    });
  });

  test('MESH_INTERNAL takes the WorkloadEntries that it selects, with mTLS where they are labelled so', () => {
    const spec = `${PORT}\nlocation: MESH_INTERNAL\nresolution: STATIC\nworkloadSelector: { labels: { app: api } }`;
    const workload = networking(
      'WorkloadEntry',
      'vm',
      'address: 10.1.1.1\nlabels: { app: api, security.istio.io/tlsMode: istio }\nserviceAccount: api',
    );
    const set = compile(entry(spec) + workload);
    expect(endpointsOf(set, NAME)).toMatchObject([
      { address: { address: '10.1.1.1', port: 8080 }, transportSocketMatch: { tlsMode: 'istio' } },
    ]);
    expect(set.clusters.get(NAME)?.transportSocketMatches[0]?.tls?.subjectAltNames).toMatchObject([
      { value: 'spiffe://cluster.local/ns/default/sa/api' },
    ]);
  });

  test('a port that is not HTTP has a cluster, and a listener for connections', () => {
    const set = compile(entry('ports: [{ number: 443, name: tls, protocol: TLS }]\nresolution: DNS'));
    expect(set.clusters.has('outbound|443||api.example.com')).toBe(true);
    expect([...set.listeners.values()].map(({ kind }) => kind)).toEqual(['outbound-tcp']);
  });
});

describe('a second compilation', () => {
  const text = service('reviews') + service('ratings', 7000);
  const view = viewOf(text);
  const compiler = createCompiler(DEFAULT_MESH_CONFIG);
  const before = compiler.compile(view, registryOf([reviews(4001)], 1), nodeOf());

  test('with nothing new gives the same objects', () => {
    expect(compiler.compile(view, registryOf([reviews(4001)], 1), nodeOf()).clusters).toBe(before.clusters);
  });

  test('with one more endpoint touches that assignment only', () => {
    const after = compiler.compile(view, registryOf([reviews(4001), reviews(4002)], 2), nodeOf());
    expect(after.listeners).toBe(before.listeners);
    expect(after.routes).toBe(before.routes);
    expect(after.clusters).toBe(before.clusters);
    expect(after.endpoints.get(ALL)).not.toBe(before.endpoints.get(ALL));
    const ratings = 'outbound|7000||ratings.default.svc.cluster.local';
    expect(after.endpoints.get(ratings)).toBe(before.endpoints.get(ratings));
  });

  test('with another configuration keeps the objects of what is equal', () => {
    const next = { ...viewOf(text + service('details')), revision: 99 };
    const after = compiler.compile(next, registryOf([reviews(4001)], 3), nodeOf());
    expect(after.clusters.size).toBe(3);
    expect(after.clusters.get(ALL)).toBe(before.clusters.get(ALL));
    expect(after.listeners.get(`${REVIEWS}:9080`)).toBe(before.listeners.get(`${REVIEWS}:9080`));
  });
});
