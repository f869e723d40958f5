import { expect } from 'vitest';
import { z } from 'zod';
import {
  balanceLocalities,
  type LocalityGroup,
  type Member,
} from '../../src/control-plane/compile/locality-balance.js';
import { parseLocality } from '../../src/model/locality.js';
import { vectorJson, vectorSuite } from './score.js';

const group = z.object({
  locality: z.string(),
  priority: z.number(),
  weight: z.number().optional(),
  endpoints: z.array(z.array(z.string())),
});
const vector = z.object({
  group: z.string(),
  name: z.string(),
  proxyLocality: z.string(),
  proxyLabels: z.record(z.string(), z.string()).default({ app: 'client' }),
  input: z.string().optional(),
  inputLocalities: z.array(z.string()).optional(),
  distribute: z.array(z.object({ from: z.string(), to: z.record(z.string(), z.number()) })).optional(),
  failover: z.array(z.object({ from: z.string(), to: z.string() })).optional(),
  failoverPriority: z.array(z.string()).optional(),
  outlierDetection: z.boolean().default(true),
  expected: z.array(group).optional(),
  expectedPriorities: z.array(z.number()).optional(),
});

type Groups = readonly LocalityGroup<Member>[];
const member = (network: string, cluster: string, more = {}): Member => ({
  labels: { 'topology.istio.io/network': network, 'topology.istio.io/cluster': cluster, ...more },
  weight: 1,
});
const key = { key: 'value' };
const groupOf = (locality: string, members: readonly Member[]): LocalityGroup<Member> => ({
  locality: parseLocality(locality),
  priority: 0,
  weight: members.length,
  members,
});

/** Istio's own test names these inputs; the file does not repeat them. */
const INPUTS: Readonly<Record<string, Groups>> = {
  buildWrappedLocalityLbEndpoints: [
    groupOf('region1/zone1/subzone1', [member('n1', 'c1'), member('n2', 'c2', key)]),
    groupOf('region2/zone2/subzone2', [member('n1', 'c3', key), member('n2', 'c4', key)]),
    groupOf('region3/zone3/subzone3', [member('n1', 'c1', key), member('n2', 'c2', key)]),
  ],
  buildWrappedLocalityLbEndpointsForFailoverPriorityWithFailover: [
    groupOf('region1/zone1/subzone1', [member('n1', 'c1')]),
    groupOf('region1/zone2/subzone2', [member('n2', 'c2', key)]),
    groupOf('region2/zone2/subzone2', [member('n1', 'c3', key)]),
    groupOf('region3/zone3/subzone3', [member('n2', 'c4', key)]),
    groupOf('region2/zone2/subzone2', [member('n2', 'c2', key)]),
    groupOf('region3/zone3/subzone3', [member('n1', 'c1', key)]),
  ],
};
/** What the test of the second input has besides. */
const FAILOVER = [{ from: 'region1', to: 'region2' }];

const file = 'istio/xds-simulation/locality-lb.json';
const cases = z
  .object({ cases: z.array(vector) })
  .parse(vectorJson(file) ?? { cases: [] }).cases;

vectorSuite({
  file,
  cases,
  title: (one) => `${one.group}: ${one.name}`,
  run(one) {
    const isMixed = one.input?.endsWith('WithFailover') === true;
    const groups =
      one.input === undefined
        ? (one.inputLocalities ?? []).map((text) => groupOf(text, []))
        : (INPUTS[one.input] ?? []);
    const { distribute, failoverPriority, failover = isMixed ? FAILOVER : undefined } = one;
    const result = balanceLocalities(
      groups,
      { kind: 'locality', setting: { distribute, failover, failoverPriority }, hasFailover: one.outlierDetection },
      { locality: parseLocality(one.proxyLocality), labels: one.proxyLabels },
    );
    if (one.expectedPriorities !== undefined) {
      expect(result.map(({ priority }) => priority)).toEqual(one.expectedPriorities);
    }
    if (one.expected === undefined) return;
    expect(result.map(({ priority, weight, members }) => [priority, weight, members.length])).toEqual(
      one.expected.map(({ priority, weight, endpoints }) => [priority, weight, endpoints.length]),
    );
    expect(result.map(({ locality }) => locality)).toEqual(
      one.expected.map(({ locality }) => parseLocality(locality)),
    );
  },
});
