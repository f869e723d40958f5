import { describe, expect, test } from 'vitest';
import { createRootChange } from '../../../src/identity/root-change.js';
import { createSettableSource } from '../../../src/identity/source.js';
import { verifyPeer } from '../../../src/identity/verify.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createTestCa, type TestCa } from '../../../src/testing/test-ca.js';

const DAY = 86_400_000;

async function setUp() {
  const clock = createFakeClock();
  const [before, after] = [await createTestCa({ clock }), await createTestCa({ clock })];
  const workload = () => {
    const source = createSettableSource();
    return { source, change: createRootChange((state) => source.set(state), clock) };
  };
  const identity = (ca: TestCa, lifeMs = DAY) => ({ svid: ca.svid('a', { lifeMs }), bundles: [ca.bundle] });
  type Source = ReturnType<typeof workload>['source'];
  const trusts = (one: Source, other: Source) => {
    const svid = other.svid();
    const bundleOf = (name: string) => one.bundle(name);
    try {
      return verifyPeer(svid === undefined ? [] : [svid.leaf.raw], bundleOf, { nowMs: clock.wallTime() });
    } catch {
      return undefined;
    }
  };
  const areFriends = (one: Source, other: Source) =>
    trusts(one, other) !== undefined && trusts(other, one) !== undefined;
  return { clock, before, after, workload, identity, areFriends };
}

describe('a change of root', () => {
  test('leaves no moment without trust between workloads that hear of it up to 2 s apart', async () => {
    const { clock, before, after, workload, identity, areFriends } = await setUp();
    const [first, second] = [workload(), workload()];
    for (const { change } of [first, second]) change.use(identity(before));
    first.change.use(identity(after));
    for (let ms = 0; ms < 20_000; ms += 100) {
      if (ms === 1900) second.change.use(identity(after));
      expect(areFriends(first.source, second.source), `after ${ms} ms`).toBe(true);
      await clock.advance(100);
    }
  });

  test('ends with the new certificate and the new root alone', async () => {
    const { clock, before, after, workload, identity } = await setUp();
    const { source, change } = workload();
    change.use(identity(before));
    const next = identity(after);
    change.use(next);
    await clock.advance(2000);
    expect(source.svid()).toBe(next.svid);
    expect(source.bundle('cluster.local')?.authorities).toHaveLength(2);
    await clock.advance(13_000);
    expect(source.bundle('cluster.local')?.authorities).toEqual(after.bundle.authorities);
    expect(clock.pending).toBe(0);
  });

  test('a certificate of the same root is in force at once', async () => {
    const { clock, before, workload, identity } = await setUp();
    const { source, change } = workload();
    change.use(identity(before));
    const next = identity(before);
    change.use(next);
    expect(source.svid()).toBe(next.svid);
    expect(clock.pending).toBe(0);
  });

  test('a certificate that has expired is not presented any longer', async () => {
    const { clock, before, after, workload, identity } = await setUp();
    const { source, change } = workload();
    change.use(identity(before, 1000));
    await clock.advance(1001);
    const next = identity(after);
    change.use(next);
    expect(source.svid()).toBe(next.svid);
    expect(source.bundle('cluster.local')?.authorities).toEqual(after.bundle.authorities);
  });

  test('an old certificate with little left is replaced before it expires', async () => {
    const { clock, before, after, workload, identity } = await setUp();
    const { source, change } = workload();
    change.use(identity(before, 1000));
    const next = identity(after);
    change.use(next);
    expect(source.svid()).not.toBe(next.svid);
    await clock.advance(500);
    expect(source.svid()).toBe(next.svid);
  });

  test('closing ends its timers', async () => {
    const { clock, before, after, workload, identity } = await setUp();
    const { change } = workload();
    change.use(identity(before));
    change.use(identity(after));
    change.close();
    expect(clock.pending).toBe(0);
  });
});
