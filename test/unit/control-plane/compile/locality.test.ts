import { describe, expect, test } from 'vitest';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import {
  createMeshConfig,
  type LocalityLbSetting,
  type ZoneAwareLbSetting,
} from '../../../../src/control-plane/mesh/mesh-config.js';
import type { WorkloadInput } from '../../../../src/control-plane/registry/workload.js';
import { localityOfLabels, parseLocality } from '../../../../src/model/locality.js';
import type { NodeMetadata } from '../../../../src/model/node.js';
import { networking, nodeOf, registryOf, service, viewOf } from './mesh.js';

const ALL = 'outbound|9080||reviews.default.svc.cluster.local';

const reviews = (locality: string, port: number, more: Partial<WorkloadInput> = {}): WorkloadInput => ({
  service: 'reviews',
  address: '127.0.0.1',
  port,
  locality: parseLocality(locality),
  ...more,
});

const PLACES = ['eu/a/1', 'eu/a/2', 'eu/b/', 'us/a/', 'ap/a/'];
const EVERYWHERE = PLACES.map((place, index) => reviews(place, 4000 + index));

interface Given {
  readonly policy?: string;
  readonly from?: string;
  readonly workloads?: readonly WorkloadInput[];
  readonly metadata?: Partial<NodeMetadata>;
  readonly mesh?: { localityLbSetting?: LocalityLbSetting; zoneAwareLbSetting?: ZoneAwareLbSetting };
  readonly services?: string;
}

function received({
  policy = '',
  from = 'eu/a/1',
  workloads = EVERYWHERE,
  metadata,
  mesh = {},
  services,
}: Given) {
  const rule =
    policy === '' ? '' : networking('DestinationRule', 'r', `host: reviews\ntrafficPolicy: ${policy}`);
  const view = viewOf((services ?? service('reviews')) + rule);
  const node = { ...nodeOf(metadata), locality: parseLocality(from) };
  return createCompiler(createMeshConfig(mesh)).compile(view, registryOf(workloads), node);
}

/** `priority locality weight: ports` of each locality. */
function localities(given: Given): readonly string[] {
  return (received(given).endpoints.get(ALL)?.localities ?? []).map(
    ({ locality: { region, zone, subZone }, priority, weight, endpoints }) =>
      `${priority} ${region}/${zone}/${subZone} ${weight}: ${endpoints.map(({ address }) => address.port).join()}`,
  );
}

const prioritiesOf = (given: Given) => localities(given).map((line) => line.split(' ').slice(0, 2).join(' '));

describe('failover', () => {
  test('near endpoints come first, where outlier detection tells that they fail', () => {
    const near = ['2 ap/a/', '0 eu/a/1', '1 eu/a/2', '2 eu/b/', '3 us/a/'];
    expect(prioritiesOf({ policy: '{ outlierDetection: {} }' })).toEqual([
      '3 ap/a/',
      '0 eu/a/1',
      '1 eu/a/2',
      '2 eu/b/',
      '3 us/a/',
    ]);
    expect(prioritiesOf({ policy: '{ loadBalancer: { localityLbSetting: { enabled: true } } }' })).toEqual(
      near.map((line) => line.replace(/^\d/, '0')),
    );
  });

  test('a region that is named comes before the others', () => {
    const failover = 'failover: [{ from: eu, to: us }, { from: ap, to: eu }]';
    const policy = `{ outlierDetection: {}, loadBalancer: { localityLbSetting: { ${failover} } } }`;
    expect(prioritiesOf({ policy })).toEqual(['4 ap/a/', '0 eu/a/1', '1 eu/a/2', '2 eu/b/', '3 us/a/']);
    expect(prioritiesOf({ policy, from: 'us/a' })).toEqual([
      '1 ap/a/',
      '1 eu/a/1',
      '1 eu/a/2',
      '1 eu/b/',
      '0 us/a/',
    ]);
  });

  test('labels in common come first, and split localities', () => {
    const workloads = [
      reviews('eu/a/1', 4000, { labels: { rack: '1' } }),
      reviews('eu/a/1', 4001, { labels: { rack: '2' }, weight: 3 }),
      reviews('us/a/', 4002, { labels: { rack: '1' } }),
    ];
    const policy = (labels: string) =>
      `{ outlierDetection: {}, loadBalancer: { localityLbSetting: { failoverPriority: [${labels}] } } }`;
    const metadata = { LABELS: { rack: '1' } };
    expect(localities({ policy: policy('rack'), workloads, metadata })).toEqual([
      '0 eu/a/1 1: 4000',
      '1 eu/a/1 3: 4001',
      '0 us/a/ 1: 4002',
    ]);
    expect(localities({ policy: policy('"rack=2"'), workloads, metadata })).toEqual([
      '0 eu/a/1 3: 4001',
      '1 eu/a/1 1: 4000',
      '1 us/a/ 1: 4002',
    ]);
    const both = policy('topology.kubernetes.io/region, rack');
    expect(localities({ policy: both, workloads, metadata })).toEqual([
      '0 eu/a/1 1: 4000',
      '1 eu/a/1 3: 4001',
      '2 us/a/ 1: 4002',
    ]);
  });

  test('a client that says nothing is where its labels say', () => {
    const LABELS = { 'topology.kubernetes.io/region': 'us', 'topology.kubernetes.io/zone': 'a' };
    const policy = '{ outlierDetection: {} }';
    expect(prioritiesOf({ policy, from: '', metadata: { LABELS } })).toContain('0 us/a/');
    expect(prioritiesOf({ policy, from: '', metadata: { LABELS: { 'istio-locality': 'ap.a' } } })).toContain(
      '0 ap/a/',
    );
  });

  test('of subsets and ports, as their policy says', () => {
    const rule = `host: reviews
trafficPolicy:
  portLevelSettings: [{ port: { number: 9080 }, outlierDetection: {} }]
`;
    const view = viewOf(service('reviews') + networking('DestinationRule', 'r', rule));
    const node = { ...nodeOf(), locality: parseLocality('us/a') };
    const set = createCompiler(createMeshConfig({})).compile(view, registryOf(EVERYWHERE), node);
    expect(set.endpoints.get(ALL)?.localities.map(({ priority }) => priority)).toEqual([1, 1, 1, 1, 0]);
  });
});

describe('distribution', () => {
  test('weights are those of the first rule for the place of the client; the rest gets nothing', () => {
    const rules =
      'distribute: [{ from: eu/a/*, to: { eu/*: 80, "us/a": 20 } }, { from: us, to: { us: 100 } }]';
    const policy = `{ loadBalancer: { localityLbSetting: { ${rules} } } }`;
    expect(localities({ policy })).toEqual([
      '0 ap/a/ 1: ',
      '0 eu/a/1 27: 4000',
      '0 eu/a/2 27: 4001',
      '0 eu/b/ 27: 4002',
      '0 us/a/ 20: 4003',
    ]);
    expect(localities({ policy, from: 'us/x/y' }).filter((line) => !line.endsWith(' '))).toEqual([
      '0 us/a/ 100: 4003',
    ]);
    expect(localities({ policy, from: 'ap/a' })).toEqual([
      '0 ap/a/ 1: 4004',
      '0 eu/a/1 1: 4000',
      '0 eu/a/2 1: 4001',
      '0 eu/b/ 1: 4002',
      '0 us/a/ 1: 4003',
    ]);
  });

  test('clients in different places share what does not depend on it', () => {
    const compiler = createCompiler(createMeshConfig({}));
    const registry = registryOf(EVERYWHERE);
    const plain = viewOf(service('reviews'));
    const at = (view: typeof plain, place: string) =>
      compiler.compile(view, registry, { ...nodeOf(), locality: parseLocality(place) });
    expect(at(plain, 'eu/a').endpoints).toBe(at(plain, 'us/a').endpoints);
    const rule = networking('DestinationRule', 'r', 'host: reviews\ntrafficPolicy: { outlierDetection: {} }');
    const near = viewOf(service('reviews') + rule);
    expect(at(near, 'eu/a').endpoints).not.toBe(at(near, 'us/a').endpoints);
  });
});

describe('what decides', () => {
  const policyOf = (given: Given) => received(given).clusters.get(ALL)?.lbPolicy;
  const off = '{ outlierDetection: {}, loadBalancer: { localityLbSetting: { enabled: false } } }';

  test('a DestinationRule alone, though it only turns it off', () => {
    expect(policyOf({ policy: off })).toMatchObject({ locality: undefined });
    expect(prioritiesOf({ policy: off }).every((line) => line.startsWith('0'))).toBe(true);
    expect(policyOf({})).toMatchObject({ locality: { kind: 'weighted' } });
  });

  test('the mesh where the rule is silent', () => {
    const policy = '{ outlierDetection: {} }';
    const localityLbSetting = { failover: [{ from: 'eu', to: 'ap' }] };
    expect(prioritiesOf({ policy, mesh: { localityLbSetting } })).toContain('3 ap/a/');
    expect(policyOf({ policy, mesh: { localityLbSetting: { enabled: false } } })).toMatchObject({
      locality: undefined,
    });
    const distribute = [{ from: '*', to: { 'us/*': 100 } }];
    expect(localities({ mesh: { localityLbSetting: { distribute } } })).toContain('0 us/a/ 100: 4003');
    expect(() =>
      createMeshConfig({ localityLbSetting: { distribute: [{ from: '*', to: { us: 99 } }] } }),
    ).toThrow('add up to 100');
  });

  test('zone-aware: the own region is one tier, and zones are weighed by the client', () => {
    const policy =
      '{ loadBalancer: { zoneAwareLbSetting: { minClusterSize: 2, failover: [{ from: eu, to: us }] } } }';
    expect(prioritiesOf({ policy })).toEqual(['2 ap/a/', '0 eu/a/1', '0 eu/a/2', '0 eu/b/', '1 us/a/']);
    expect(policyOf({ policy })).toMatchObject({ locality: { kind: 'zone-aware', minClusterSize: 2 } });
    const mesh = { zoneAwareLbSetting: { enabled: true } };
    expect(prioritiesOf({ mesh })).toEqual(['1 ap/a/', '0 eu/a/1', '0 eu/a/2', '0 eu/b/', '1 us/a/']);
    expect(prioritiesOf({ mesh, policy: '{ loadBalancer: { localityLbSetting: {} } }' })).toContain(
      '0 ap/a/',
    );
  });

  test('a service that prefers its own zone fails over without outlier detection', () => {
    const services = service('reviews').replace('spec:\n', 'spec:\n  trafficDistribution: PreferClose\n');
    expect(prioritiesOf({ services })).toEqual(['2 ap/a/', '0 eu/a/1', '0 eu/a/2', '1 eu/b/', '2 us/a/']);
    expect(prioritiesOf({ services, policy: off }).every((line) => line.startsWith('0'))).toBe(true);
  });
});

test('places by labels: Istio’s whole locality before Kubernetes’ parts', () => {
  const parts = {
    'topology.kubernetes.io/region': 'eu',
    'topology.kubernetes.io/zone': 'a',
    'topology.istio.io/subzone': '1',
  };
  expect(localityOfLabels(parts)).toEqual(parseLocality('eu/a/1'));
  expect(localityOfLabels({ ...parts, 'istio-locality': 'us.b' })).toEqual(parseLocality('us/b'));
  expect(localityOfLabels({ 'topology.istio.io/locality': 'us/b.c/2' })).toEqual(parseLocality('us/b.c/2'));
  expect(localityOfLabels({ 'topology.kubernetes.io/zone': 'a' })).toEqual(parseLocality(''));
});
