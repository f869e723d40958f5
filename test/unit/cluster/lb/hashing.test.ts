import { beforeAll, describe, expect, test } from 'vitest';
import type { Host } from '../../../../src/cluster/host.js';
import { boundedIndex, totalSlots } from '../../../../src/cluster/lb/bounded-load.js';
import { finish } from '../../../../src/cluster/lb/hash-table.js';
import { createBalancer } from '../../../../src/cluster/lb/policies.js';
import { ringKind } from '../../../../src/cluster/lb/ring.js';
import type { LbPolicy } from '../../../../src/model/lb-policy.js';
import { loadHashes, xxHash64 } from '../../../../src/runtime/hash.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { ANY, balancerTools, host, hostSet, MAGLEV, RING, request } from '../fixtures.js';

beforeAll(loadHashes);

const MAX_64 = 2n ** 64n - 1n;
const many = (count: number) => Array.from({ length: count }, (_, i) => host(`10.0.${i >> 8}.${i & 255}`));
const withHash = (hash: bigint) => ({ ...ANY, request: request(), hash: () => hash });
/** Functions, as hashes are loaded after this file is read. */
const keys = Array.from({ length: 300 }, (_, i) => () => xxHash64(`key ${i}`));

function picksOf(policy: LbPolicy, hosts: readonly Host[]) {
  const picker = createBalancer(policy, balancerTools(1)).picker([hostSet(hosts)]);
  return keys.map((key) => picker(withHash(key()), 0)?.address);
}

describe('a big ring', () => {
  test('is sorted like a small one', () => {
    const kind = ringKind({ minimumSize: 20_000, maximumSize: 8_388_608, hash: (text) => xxHash64(text) });
    const hosts = many(5);
    const input = {
      keys: hosts.map(({ address }) => address),
      weights: [0.2, 0.2, 0.2, 0.2, 0.2],
      min: 0.2,
      max: 0.2,
    };
    const table = finish(kind.build(input));
    const places = hosts.flatMap(({ address }, index) =>
      Array.from({ length: 4000 }, (_, i) => ({ hash: xxHash64(`${address}_${i}`), index })),
    );
    places.sort((a, b) => (a.hash < b.hash ? -1 : 1));
    expect(table.size).toBe(20_000);
    for (const key of keys) {
      const expected = places.find(({ hash }) => hash >= key()) ?? places[0];
      expect(table.indexOf(key(), 0)).toBe(expected?.index);
    }
    expect(table.indexOf(MAX_64, 0)).toBe(places[0]?.index);
  });

  test('is built in slices: a small one serves until then, and the one before it over an update', async () => {
    const clock = createFakeClock();
    const policy = { ...RING, minimumRingSize: 200_000 };
    const hosts = many(4);
    const balancer = createBalancer(policy, balancerTools(1, { clock }));
    const first = balancer.picker([hostSet(hosts)]);
    const picks = (picker: typeof first) => keys.map((key) => picker(withHash(key()), 0)?.address);
    const interim = picks(first);
    expect(interim).toEqual(picksOf(RING, hosts));
    await clock.advance(100);
    const real = picks(first);
    expect(real).not.toEqual(interim);
    expect(real).toEqual(picks(first));

    // One host goes: nobody gets it any more, though the new ring is not there yet, and other keys stay.
    const second = balancer.picker([hostSet(hosts.slice(1))]);
    const meanwhile = picks(second);
    expect(meanwhile).not.toContain(hosts[0]?.address);
    meanwhile.forEach((address, i) => {
      if (real[i] !== hosts[0]?.address) expect(address).toBe(real[i]);
    });
    await clock.advance(100);
    const after = picks(second);
    expect(after).not.toContain(hosts[0]?.address);
    expect(after).not.toEqual(meanwhile);
    balancer.close?.();
  });
});

describe('picking by hash', () => {
  test('a retry walks on', () => {
    const hosts = many(10);
    const picker = createBalancer(RING, balancerTools(1)).picker([hostSet(hosts)]);
    const seen = new Set(Array.from({ length: 30 }, (_, attempt) => picker(withHash(7n), attempt)));
    expect(seen.size).toBeGreaterThan(5);
  });

  test('without a hash chance decides', () => {
    const hosts = many(4);
    const picker = createBalancer({ ...MAGLEV, tableSize: 65_537 }, balancerTools(3)).picker([
      hostSet(hosts),
    ]);
    const counts = new Map<Host | undefined, number>();
    for (let i = 0; i < 4000; i++) {
      const picked = picker(ANY, 0);
      counts.set(picked, (counts.get(picked) ?? 0) + 1);
    }
    for (const one of hosts) expect(Math.abs((counts.get(one) ?? 0) - 1000)).toBeLessThan(150);
  });

  test('the hash decides the priority, too: what spills over is always the same', () => {
    const [a, b, c] = [host('a'), host('b', { health: 'unhealthy' }), host('c')];
    const picker = createBalancer(RING, balancerTools(1)).picker([hostSet([a, b]), hostSet([c])]);
    // Half of the first priority is there: 70 % of the hashes stay.
    expect(picker(withHash(69n), 0)).toBe(a);
    expect(picker(withHash(70n), 0)).toBe(c);
  });

  test('degraded hosts serve when there is nobody else', () => {
    const only = host('a', { health: 'degraded' });
    const picker = createBalancer(RING, balancerTools(1)).picker([hostSet([only])]);
    expect(picker(withHash(5n), 0)).toBe(only);
  });

  test('weights of localities decide who has how many places', () => {
    const hosts = many(2);
    const set = hostSet(hosts);
    const localities = hosts.map((one, i) => ({
      ...hostSet([one]),
      locality: one.locality,
      weight: i === 0 ? 1 : 3,
    }));
    const policy = { ...MAGLEV, tableSize: 10_007, localityWeighted: true };
    const picker = createBalancer(policy, balancerTools(1)).picker([{ ...set, localities }]);
    let first = 0;
    for (let i = 0n; i < 10_007n; i++) if (picker(withHash(i), 0) === hosts[0]) first++;
    expect(first / 10_007).toBeCloseTo(0.25, 2);
  });
});

describe('bounded loads', () => {
  const hosts = many(4);
  const weights = { hosts, weights: [0.25, 0.25, 0.25, 0.25], min: 0.25, max: 0.25 };

  test('counts slots as Envoy does', () => {
    expect(totalSlots(0, 150)).toBe(2);
    expect(totalSlots(9, 125)).toBe(13);
  });

  test('passes over a host that has more than its share, for the same one each time', () => {
    for (const one of hosts) one.activeRequests = 0;
    expect(boundedIndex(2, 77n, weights, 4)).toBe(2);
    hosts[2]!.activeRequests = 2;
    const other = boundedIndex(2, 77n, weights, 4);
    expect(other).not.toBe(2);
    expect(boundedIndex(2, 77n, weights, 4)).toBe(other);
    const others = new Set(Array.from({ length: 50 }, (_, i) => boundedIndex(2, BigInt(i), weights, 4)));
    expect([...others].sort()).toEqual([0, 1, 3]);
  });

  test('takes the least loaded when all have too much', () => {
    hosts.forEach((one, i) => {
      one.activeRequests = 9 - i;
    });
    expect(boundedIndex(0, 5n, weights, 4)).toBe(3);
  });
});

describe('hash policies of the load balancing policy', () => {
  const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].map((address) => host(address));
  const compileHash = () => () => 7n;

  test.each([RING, MAGLEV])('of $kind replace those of the route', (lbPolicy) => {
    const hashPolicies = [{ source: { kind: 'source-ip' as const }, terminal: false }];
    const given = balancerTools(1, { compileHash });
    const pickers = [
      createBalancer(lbPolicy, given),
      createBalancer({ ...lbPolicy, hashPolicies }, given),
    ].map((balancer) => balancer.picker([hostSet(hosts)]));
    const picks = (picker: (typeof pickers)[number] | undefined) =>
      Array.from({ length: 50 }, (_, i) =>
        picker?.({ ...ANY, request: request(), hash: () => BigInt(i) << 55n }, 0),
      );
    const [route, own] = pickers.map(picks);
    expect(new Set(route).size).toBeGreaterThan(1);
    const ofSeven = pickers[0]?.({ ...ANY, request: request(), hash: () => 7n }, 0);
    expect(new Set(own)).toEqual(new Set([ofSeven]));
  });

  test('that say nothing leave it to chance, whatever the route says', () => {
    const policy = { ...RING, hashPolicies: [] };
    const picker = createBalancer(policy, balancerTools(1, { compileHash: () => undefined })).picker([
      hostSet(hosts),
    ]);
    const picks = Array.from({ length: 50 }, () => picker({ ...ANY, request: request(), hash: () => 7n }, 0));
    expect(new Set(picks).size).toBe(4);
  });
});
