import { describe, expect, test } from 'vitest';
import { workloadsOfNode } from '../../../../src/control-plane/registry/node-workloads.js';
import { createRegistry } from '../../../../src/control-plane/registry/registry.js';
import { workloadsIn } from '../../../../src/control-plane/registry/snapshot.js';
import { createWorkload, type WorkloadInput } from '../../../../src/control-plane/registry/workload.js';
import type { NodeWorkload } from '../../../../src/model/node.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { nodeOf } from '../compile/mesh.js';

const GRACE_MS = 2000;

function setUp() {
  const clock = createFakeClock();
  const registry = createRegistry({ graceMs: GRACE_MS }, clock);
  const ports = () => [...workloadsIn(registry.current.value)].map(({ port }) => port);
  return { clock, registry, ports };
}

const workload = (owner: string, port: number) =>
  createWorkload(owner, { service: 'reviews', address: '127.0.0.1', port });

describe('a lease', () => {
  test('lasts while its stream does', async () => {
    const { clock, registry, ports } = setUp();
    registry.lease('a').update([workload('a', 1)]);
    await clock.advance(10 * GRACE_MS);
    expect(ports()).toEqual([1]);
  });

  test('outlives its stream by the grace period, then the workloads vanish', async () => {
    const { clock, registry, ports } = setUp();
    const lease = registry.lease('a');
    lease.update([workload('a', 1)]);
    lease.end();
    await clock.advance(GRACE_MS - 1);
    expect(ports()).toEqual([1]);
    await clock.advance(1);
    expect(ports()).toEqual([]);
  });

  test('ends at once when its owner says that it serves nothing', () => {
    const { registry, ports } = setUp();
    const lease = registry.lease('a');
    lease.update([workload('a', 1)]);
    lease.update([]);
    expect(ports()).toEqual([]);
  });

  test('goes over to the next stream of the same owner without a gap', async () => {
    const { clock, registry, ports } = setUp();
    const seen: number[][] = [];
    const first = registry.lease('a');
    first.update([workload('a', 1)]);
    registry.current.subscribe(() => seen.push(ports()));
    registry.lease('a').update([workload('a', 1)]);
    first.end();
    await clock.advance(2 * GRACE_MS);
    expect(ports()).toEqual([1]);
    expect(seen).toEqual([]);
  });

  test('that was taken over has no say any more', () => {
    const { registry, ports } = setUp();
    const first = registry.lease('a');
    const second = registry.lease('a');
    second.update([workload('a', 2)]);
    first.update([workload('a', 1)]);
    expect(ports()).toEqual([2]);
  });
});

describe('a registration with a time limit', () => {
  test('vanishes without a heartbeat', async () => {
    const { clock, registry, ports } = setUp();
    registry.register('api', [workload('api', 1)], 1000);
    await clock.advance(1000);
    expect(ports()).toEqual([]);
  });

  test('stays with heartbeats, which change nothing', async () => {
    const { clock, registry, ports } = setUp();
    registry.register('api', [workload('api', 1)], 1000);
    const { revision } = registry.current.value;
    for (let beat = 0; beat < 5; beat++) {
      await clock.advance(900);
      registry.register('api', [workload('api', 1)], 1000);
    }
    expect(ports()).toEqual([1]);
    expect(registry.current.value.revision).toBe(revision);
  });

  test('can be removed at once', () => {
    const { registry, ports } = setUp();
    registry.register('api', [workload('api', 1)], 1000);
    expect(registry.remove('api')).toBe(true);
    expect(registry.remove('api')).toBe(false);
    expect(ports()).toEqual([]);
  });
});

describe('a workload', () => {
  test('has the labels that selectors ask for by convention', () => {
    const input = { service: 'reviews', version: 'v1', address: '127.0.0.1', port: 1, labels: { team: 'x' } };
    expect(createWorkload('a', input).labels).toEqual({ app: 'reviews', version: 'v1', team: 'x' });
  });

  test.each<[string, Partial<WorkloadInput>]>([
    ['service', { service: 'Not A Name' }],
    ['namespace', { namespace: 'a/b' }],
    ['address', { address: 'example.com' }],
    ['port', { port: 0 }],
    ['port', { port: 65_536 }],
    ['serviceAccount', { serviceAccount: 'a/sa/b' }],
    ['weight', { weight: 0 }],
  ])('with a wrong %s is refused by name', (field, wrong) => {
    const input = { service: 'reviews', address: '127.0.0.1', port: 1, ...wrong };
    expect(() => createWorkload('a', input)).toThrow(
      new RegExp(`INMESH_OPTION_INVALID: a workload's ${field}`),
    );
  });
});

describe('the workloads of a node', () => {
  const served: NodeWorkload = {
    service: 'reviews',
    address: '10.0.0.1',
    port: 9080,
    portName: 'http',
    tlsMode: 'istio',
  };

  test('are what it says it serves, with its own identity and labels', () => {
    const node = nodeOf({
      NAMESPACE: 'shop',
      SERVICE_ACCOUNT: 'reviews',
      LABELS: { app: 'reviews', version: 'v2' },
      INMESH_WORKLOADS: [served],
    });
    expect(workloadsOfNode(node)).toMatchObject([
      {
        owner: node.id,
        namespace: 'shop',
        serviceAccount: 'reviews',
        version: 'v2',
        port: 9080,
        portName: 'http',
      },
    ]);
  });

  test('are none of our business when it does not speak of them', () => {
    expect(workloadsOfNode(nodeOf())).toBeUndefined();
    expect(workloadsOfNode(nodeOf({ INMESH_WORKLOADS: [] }))).toEqual([]);
  });
});
