import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Host } from '../../src/cluster/host.js';
import { OutlierDetector, type OutlierEvent } from '../../src/cluster/outlier/detector.js';
import { seededRandom } from '../../src/runtime/random.js';
import { host, outlierConfig } from '../unit/cluster/fixtures.js';

/** What may happen to a host, or to all of them. */
interface World {
  readonly detector: OutlierDetector;
  readonly hosts: Map<string, Host>;
  readonly time: { now: number };
}
type Step = (world: World, target: Host) => void;

const wait = (world: World, ms: number): boolean => {
  world.time.now += ms;
  return world.detector.tick();
};

const status = fc.tuple(fc.constantFrom(200, 404, 500, 502, 503, 504), fc.integer({ min: 1, max: 8 })).map(
  ([code, times]): Step =>
    ({ detector }, target) => {
      for (let i = 0; i < times; i++) detector.reportStatus(target, code);
    },
);
const local = fc.constantFrom('timeout' as const, 'connect-failure' as const, 'connect-success' as const).map(
  (result): Step =>
    ({ detector }, target) =>
      detector.reportLocalOrigin(target, result),
);
const degraded = fc.constant<Step>(({ detector }, target) => detector.reportDegraded(target));
const tick = fc.nat(60_000).map(
  (ms): Step =>
    (world) =>
      void wait(world, ms),
);
const leave = fc.constant<Step>(({ hosts }, { address }) => void hosts.delete(address));
/** Who comes back after it left is another host at the same address. */
const join = fc.constant<Step>(({ hosts }, { address }) => {
  if (!hosts.has(address)) hosts.set(address, host(address.split(':')[0] ?? ''));
});

const steps = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 5, arbitrary: status },
      { weight: 3, arbitrary: local },
      degraded,
      { weight: 2, arbitrary: tick },
      leave,
      join,
    ),
    fc.nat(11),
  ),
  { maxLength: 80 },
);

const settings = fc.record({
  maxEjectionPercent: fc.nat(100),
  alwaysEjectOneHost: fc.boolean(),
  splitExternalLocalOriginErrors: fc.boolean(),
  detectDegradedHosts: fc.boolean(),
});

function start(
  given: typeof settings extends fc.Arbitrary<infer S> ? S : never,
  count: number,
  volume: number,
  seed: number,
) {
  const statistical = {
    minimumHosts: 2,
    requestVolume: volume,
    enforcingPercent: 100,
    enforcingLocalOriginPercent: 100,
  };
  const all = Array.from({ length: count }, (_, i) => host(`h${i}`));
  const hosts = new Map(all.map((one): [string, Host] => [one.address, one]));
  const time = { now: 0 };
  const ejected = () => [...hosts.values()].filter((one) => one.ejected).length;
  const checkCap = ({ action, type, enforced }: OutlierEvent) => {
    if (action === 'uneject' || type === 'Degraded' || !enforced) return;
    const out = ejected();
    if (given.alwaysEjectOneHost && out === 1) return;
    expect((100 * out) / hosts.size).toBeLessThanOrEqual(given.maxEjectionPercent);
  };
  const detector = new OutlierDetector(
    outlierConfig({
      ...given,
      consecutive5xx: { threshold: 2, enforcingPercent: 70 },
      consecutiveGatewayFailure: { threshold: 2, enforcingPercent: 100 },
      successRate: { ...statistical, stdevFactor: 1000 },
      failurePercentage: { ...statistical, threshold: 50 },
      maxEjectionTimeJitterMs: 5000,
    }),
    {
      random: seededRandom(seed),
      now: () => time.now,
      hosts: () => hosts,
      onChange: () => {},
      onEvent: checkCap,
    },
  );
  return { detector, all, hosts, time, ejected };
}

test('whatever happens, no ejection goes beyond its cap, and every host comes back in the end', () => {
  const counts = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 10 }));
  fc.assert(
    fc.property(settings, counts, steps, fc.nat(), (given, [count, volume], list, seed) => {
      const world = start(given, count, volume, seed);
      const { all, hosts, detector, ejected } = world;
      for (const [step, at] of list) {
        step(world, all[at % all.length]!);
        expect(detector.stats().ejectionsActive).toBe(ejected());
      }
      // The longest ejection is 300 s and its jitter; each interval after that takes one off the back-off.
      let pending = true;
      for (let i = 0; pending && i < 60; i++) pending = wait(world, 10_000);
      expect(pending).toBe(false);
      expect([...hosts.values()].some((one) => one.ejected || one.outlierDegraded)).toBe(false);
    }),
    { numRuns: 300 },
  );
});
