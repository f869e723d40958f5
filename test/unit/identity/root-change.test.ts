import { describe, expect, test } from 'vitest';
import { createX509Bundle, type X509Bundle } from '../../../src/identity/bundle.js';
import { revocationList } from '../../../src/identity/revocation.js';
import { createRootChange } from '../../../src/identity/root-change.js';
import { createSettableSource } from '../../../src/identity/source.js';
import { fingerprintOf, type Trust } from '../../../src/identity/trust.js';
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

  const trustOf = (bundles: readonly X509Bundle[], more: Partial<Trust> = {}): Trust => ({
    trustDomain: 'cluster.local',
    bundles,
    tainted: new Set(),
    distrusted: new Set(),
    renewWithinMs: 0,
    ...more,
  });
  const fingerprint = (ca: TestCa) => fingerprintOf(ca.bundle.certificates[0]!);

  test('that was announced is in force at once on both sides', async () => {
    const { clock, before, after, workload, identity } = await setUp();
    const { source, change } = workload();
    const both = createX509Bundle(
      'cluster.local',
      [before.bundle, after.bundle].flatMap((one) => one.authorities),
    );
    change.use(identity(before));
    change.trust(trustOf([both]));
    expect(source.bundle('cluster.local')?.authorities).toEqual(both.authorities);
    const next = identity(after);
    change.use(next);
    expect(source.svid()).toBe(next.svid);
    change.trust(trustOf([after.bundle], { distrusted: new Set([fingerprint(before)]) }));
    expect(source.bundle('cluster.local')?.authorities).toEqual(after.bundle.authorities);
    expect(clock.pending).toBe(0);
  });

  test('that nobody announced leaves the old root trusted for a while', async () => {
    const { clock, before, after, workload, identity } = await setUp();
    const { source, change } = workload();
    change.use(identity(before));
    change.trust(trustOf([before.bundle]));
    // As when a control plane without a folder starts again.
    change.trust(trustOf([after.bundle]));
    const next = identity(after);
    change.use(next);
    expect(source.svid()).not.toBe(next.svid);
    expect(source.bundle('cluster.local')?.authorities).toHaveLength(2);
    await clock.advance(15_000);
    expect(source.svid()).toBe(next.svid);
    expect(source.bundle('cluster.local')?.authorities).toEqual(after.bundle.authorities);
  });

  test('that comes with a certificate before anybody is told of it is presented later, whatever is told meanwhile', async () => {
    const { clock, before, after, workload, identity, areFriends } = await setUp();
    const [first, second] = [workload(), workload()];
    for (const { change } of [first, second]) {
      change.use(identity(before));
      change.trust(trustOf([before.bundle]));
    }
    const next = identity(after);
    first.change.use(next);
    expect(first.source.bundle('cluster.local')?.authorities).toHaveLength(2);
    for (let ms = 0; ms < 20_000; ms += 100) {
      expect(first.source.svid() === next.svid, `after ${ms} ms`).toBe(ms >= 2000);
      if (ms === 1000) first.change.trust(trustOf([after.bundle]));
      if (ms === 1900) second.change.use(identity(after));
      if (ms === 2700) second.change.trust(trustOf([after.bundle]));
      expect(areFriends(first.source, second.source), `after ${ms} ms`).toBe(true);
      await clock.advance(100);
    }
    for (const { source } of [first, second]) {
      expect(source.bundle('cluster.local')?.authorities).toEqual(after.bundle.authorities);
    }
    expect(clock.pending).toBe(0);
  });

  test('a root that is distrusted is out at once, also while it was on its way out', async () => {
    const { clock, before, after, workload, identity } = await setUp();
    const { source, change } = workload();
    change.use(identity(before));
    const next = identity(after);
    change.use(next);
    expect(source.svid()).not.toBe(next.svid);
    change.trust(trustOf([after.bundle], { distrusted: new Set([fingerprint(before)]) }));
    expect(source.svid()).toBe(next.svid);
    expect(source.bundle('cluster.local')?.authorities).toEqual(after.bundle.authorities);
    expect(clock.pending).toBe(2);
  });

  test('trust brings what was revoked, and those that the mesh is federated with', async () => {
    const { clock, before, workload, identity } = await setUp();
    const other = await createTestCa({ trustDomain: 'other.test' });
    const { source, change } = workload();
    const own = identity(before);
    change.use(own);
    const revoked = revocationList({ serials: [], ids: [own.svid.id.toString()], keys: [] });
    change.trust(
      trustOf([createX509Bundle('cluster.local', before.bundle.authorities, revoked), other.bundle]),
    );
    expect(source.federated?.()).toEqual(['other.test']);
    expect(() =>
      verifyPeer([own.svid.leaf.raw], (name) => source.bundle(name), { nowMs: clock.wallTime() }),
    ).toThrow(expect.objectContaining({ code: 'INMESH_CERTIFICATE_REVOKED' }));
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
