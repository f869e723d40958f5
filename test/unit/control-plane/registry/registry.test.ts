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

describe('the loss of most registrations at once', () => {
  const TTL_MS = 30_000;
  const owners = Array.from({ length: 20 }, (_, index) => `w${index}`);
  function many(massLoss?: false) {
    const clock = createFakeClock();
    const registry = createRegistry({ graceMs: GRACE_MS, massLoss }, clock);
    const report = (some: readonly string[]) => {
      for (const owner of some)
        registry.register(owner, [workload(owner, owners.indexOf(owner) + 1)], TTL_MS);
    };
    report(owners);
    return { clock, registry, report, count: () => [...workloadsIn(registry.current.value)].length };
  }

  test('a control plane that stood still for a minute gives everybody the time to report again', async () => {
    const { clock, report, registry, count } = many(false);
    await clock.advance(TTL_MS - 1_000);
    clock.block(60_000);
    await clock.advance(0);
    expect(count()).toBe(20);
    // Those that live report; those that died meanwhile go after their time.
    report(owners.slice(0, 12));
    await clock.advance(TTL_MS - 1);
    expect(count()).toBe(20);
    report(owners.slice(0, 12));
    await clock.advance(1);
    expect(count()).toBe(12);
    expect(registry.held.value).toBe(0);
  });

  test('a machine that slept is found out by the calendar, where its clock stood still', async () => {
    const fake = createFakeClock();
    let sleptMs = 0;
    const clock = { ...fake, wallTime: () => fake.wallTime() + sleptMs };
    const registry = createRegistry({ graceMs: GRACE_MS }, clock);
    registry.register('a', [workload('a', 1)], TTL_MS);
    await fake.advance(TTL_MS - 10);
    sleptMs = 8 * 3_600_000;
    await fake.advance(10);
    expect([...workloadsIn(registry.current.value)]).toHaveLength(1);
    await fake.advance(TTL_MS);
    expect([...workloadsIn(registry.current.value)]).toHaveLength(0);
  });

  test('most of them are kept until enough report again, or for five minutes', async () => {
    const { clock, registry, report, count } = many();
    await clock.advance(TTL_MS);
    expect([count(), registry.held.value]).toEqual([20, 20]);
    report(owners.slice(0, 9));
    await clock.advance(1_000);
    expect([count(), registry.held.value]).toEqual([20, 11]);
    // No longer most: what is still missing is gone.
    report(owners.slice(0, 10));
    await clock.advance(1_000);
    expect([count(), registry.held.value]).toEqual([10, 0]);
  });

  test('five minutes without a word are an answer', async () => {
    const { clock, count } = many();
    await clock.advance(TTL_MS + 299_000);
    expect(count()).toBe(20);
    await clock.advance(2_000);
    expect(count()).toBe(0);
  });

  test('streams that all break are kept, too; who says that it goes, goes; and operators may confirm', async () => {
    const clock = createFakeClock();
    const registry = createRegistry({ graceMs: GRACE_MS }, clock);
    const leases = owners.map((owner, index) => {
      const lease = registry.lease(owner);
      lease.update([workload(owner, index + 1)]);
      return lease;
    });
    const count = () => [...workloadsIn(registry.current.value)].length;
    for (const lease of leases.slice(0, 6)) lease.update([]);
    expect(count()).toBe(14);
    for (const lease of leases.slice(6)) lease.end();
    await clock.advance(GRACE_MS + 5_000);
    expect([count(), registry.held.value]).toEqual([14, 14]);
    // A stream that comes back takes its own over.
    registry.lease('w6').update([workload('w6', 7)]);
    await clock.advance(1_000);
    expect([count(), registry.held.value]).toEqual([14, 13]);
    expect(registry.confirm()).toBe(13);
    expect([count(), registry.held.value]).toEqual([1, 0]);
  });

  test('a few that are lost go at once; what went within a minute counts', async () => {
    const { clock, registry, report, count } = many();
    await clock.advance(TTL_MS - 1_000);
    report(owners.slice(8));
    await clock.advance(1_000);
    expect([count(), registry.held.value]).toEqual([12, 0]);
    await clock.advance(TTL_MS - 2_000);
    report(owners.slice(11));
    await clock.advance(1_000);
    expect([count(), registry.held.value]).toEqual([12, 3]);
  });
});
