import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CLUSTER_LOAD_ASSIGNMENT } from '../../src/codec/resource-types.js';
import type { ClusterLoadAssignment, Endpoint } from '../../src/model/endpoint.js';
import { runSteps } from '../../src/runtime/steps.js';

const { encode, decode, decodeInSteps } = CLUSTER_LOAD_ASSIGNMENT;

const endpointOf = (id: number, weight: number): Endpoint => ({
  address: { address: `10.0.${id >> 8}.${id & 255}`, port: 80 },
  hostname: '',
  health: 'healthy',
  weight,
  transportSocketMatch: {},
  metadata: weight % 2 === 0 ? {} : { istio: { workload: `w${weight}` } },
});

const assignmentOf = (localities: readonly (readonly Endpoint[])[]): ClusterLoadAssignment => ({
  clusterName: 'c',
  overprovisioningFactor: 140,
  weightedPriorityHealth: false,
  dropOverloads: undefined,
  localities: localities.map((endpoints, index) => ({
    locality: { region: 'r', zone: `z${index}`, subZone: '' },
    priority: 0,
    weight: undefined,
    metadata: {},
    endpoints,
  })),
});

/** Endpoints with addresses of their own in up to three localities. */
const assignment = fc
  .uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 40 })
  .chain((ids) =>
    fc.tuple(
      fc.tuple(...ids.map((id) => fc.tuple(fc.constant(id), fc.integer({ min: 1, max: 3 })))),
      fc.tuple(fc.nat({ max: ids.length }), fc.nat({ max: ids.length })),
    ),
  )
  .map(([pairs, cuts]) => {
    const endpoints = pairs.map(([id, weight]) => endpointOf(id, weight));
    const [first = 0, second = 0] = [...cuts].sort((a, b) => a - b);
    return assignmentOf([endpoints.slice(0, first), endpoints.slice(first, second), endpoints.slice(second)]);
  });

const all = ({ localities }: ClusterLoadAssignment) => localities.flatMap(({ endpoints }) => endpoints);

describe('endpoints of an update', () => {
  test('are what a decoding from nothing gives, and the unchanged ones are the objects of before', () => {
    fc.assert(
      fc.property(assignment, assignment, (before, after) => {
        const held = { bytes: encode(before), resource: decode(encode(before)).resource };
        const bytes = encode(after);
        const reused = runSteps(decodeInSteps?.(bytes, held) ?? fail()).resource;
        expect(reused).toEqual(decode(bytes).resource);
        const known = new Map(all(held.resource).map((one) => [JSON.stringify(one), one]));
        for (const endpoint of all(reused)) {
          const old = known.get(JSON.stringify(endpoint));
          if (old !== undefined) expect(endpoint).toBe(old);
        }
      }),
    );
  });

  test('are decoded with pauses when there are many', () => {
    const many = assignmentOf([Array.from({ length: 5000 }, (_, id) => endpointOf(id, 1))]);
    const steps = decodeInSteps?.(encode(many), undefined) ?? fail();
    let pauses = 0;
    while (steps.next().done !== true) pauses++;
    expect(pauses).toBeGreaterThan(20);
  });
});

function fail(): never {
  throw new Error('endpoints are decoded in steps');
}
