import { afterEach, describe, expect, test } from 'vitest';
import type { CachedIdentity, IdentityCache } from '../../../src/identity/identity-cache.js';
import {
  createRotatingSource,
  type RotatingSource,
  type RotationOptions,
} from '../../../src/identity/rotation.js';
import { fingerprintOf, joinBundles, type Trust } from '../../../src/identity/trust.js';
import type { Clock } from '../../../src/runtime/clock.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { createTextLogger, silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createTestCa, type TestCa } from '../../../src/testing/test-ca.js';

const HOUR = 3_600_000;
const opened: RotatingSource[] = [];
afterEach(() => {
  for (const source of opened.splice(0)) source.close();
});

const down = () => new MeshError('INMESH_CA_UNAVAILABLE', 'down');

async function setUp(options: Partial<RotationOptions> = {}, seed = 1) {
  const clock = createFakeClock();
  let offsetMs = 0;
  const calendar: Clock = { ...clock, wallTime: () => clock.wallTime() + offsetMs };
  const ca = await createTestCa({ clock: calendar });
  const state = { calls: [] as number[], failure: undefined as Error | undefined, lifeMs: 24 * HOUR };
  const obtain = async (): Promise<CachedIdentity> => {
    state.calls.push(clock.now());
    if (state.failure !== undefined) throw state.failure;
    return { svid: ca.svid('reviews', { lifeMs: state.lifeMs }), bundles: [ca.bundle] };
  };
  const jump = (ms: number) => {
    offsetMs = ms;
  };
  const start = () => {
    const source = createRotatingSource({
      obtain,
      clock: calendar,
      random: seededRandom(seed),
      logger: silentLogger,
      ...options,
    });
    opened.push(source);
    return source;
  };
  return { clock, ca, state, start, jump };
}

function memoryCache(initial?: CachedIdentity): IdentityCache & { saved: CachedIdentity | undefined } {
  return {
    saved: initial,
    async load() {
      return this.saved;
    },
    async save(identity) {
      this.saved = identity;
    },
  };
}

describe('a rotating source', () => {
  test('is ready with the first certificate', async () => {
    const { start } = await setUp();
    const source = start();
    expect(source.svid()).toBeUndefined();
    await source.ready;
    expect(source.svid()?.id.path).toBe('/ns/default/sa/reviews');
    expect(source.bundle('cluster.local')).toBeDefined();
  });

  test('tells the log once that no certificate comes, however often it tries', async () => {
    const lines: string[] = [];
    const logger = createTextLogger((line) => lines.push(line), 'warn');
    const { clock, state, start } = await setUp({ logger });
    state.failure = down();
    start();
    await clock.advance(5000);
    expect(state.calls.length).toBeGreaterThan(4);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('INMESH_CA_UNAVAILABLE');
  });

  test.each([1, 2, 3, 4, 5])('renews between 45 and 55 percent of the life (seed %i)', async (seed) => {
    const { clock, state, start } = await setUp({}, seed);
    const source = start();
    await source.ready;
    const first = source.svid();
    await clock.advance(24 * HOUR * 0.45 - 1000);
    expect(state.calls.length).toBe(1);
    await clock.advance(24 * HOUR * 0.1 + 6000);
    expect(state.calls.length).toBe(2);
    expect(source.svid()).not.toBe(first);
  });

  test('renews certificates of ten seconds without a gap', async () => {
    const { clock, state, start } = await setUp();
    state.lifeMs = 10_000;
    const source = start();
    await source.ready;
    for (let second = 0; second < 60; second++) {
      await clock.advance(1000);
      expect(source.svid()?.notAfterMs).toBeGreaterThan(clock.wallTime() + 3000);
    }
    expect(state.calls.length).toBeGreaterThanOrEqual(11);
    expect(state.calls.length).toBeLessThanOrEqual(14);
  });

  test('keeps the old certificate while the authority is down, and tries again with growing waits', async () => {
    const { clock, state, start } = await setUp();
    const source = start();
    await source.ready;
    const first = source.svid();
    state.failure = down();
    void source.renewNow();
    await clock.advance(10 * 60_000);
    expect(source.svid()).toBe(first);
    const waits = state.calls.slice(2).map((at, index) => at - (state.calls[index + 1] ?? 0));
    expect(waits[0]).toBeLessThan(200);
    expect(waits[4]).toBeGreaterThan(waits[0] ?? 0);
    expect(waits.at(-1)).toBeGreaterThan(20_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(36_000);

    state.failure = undefined;
    await clock.advance(40_000);
    expect(source.svid()).not.toBe(first);
  });

  test('without any certificate it stays close, is told of the failure, and recovers within about a second', async () => {
    const { clock, state, start } = await setUp({ readyTimeoutMs: 15_000 });
    state.failure = down();
    const source = start();
    await clock.advance(20_000);
    await expect(source.ready).rejects.toThrow(expect.objectContaining({ code: 'INMESH_CA_UNAVAILABLE' }));
    state.failure = undefined;
    await clock.advance(1000);
    expect(source.svid()).toBeDefined();
  });

  test('a refusal is told at once', async () => {
    const { clock, state, start } = await setUp();
    state.failure = new MeshError('INMESH_CA_REFUSED', 'no');
    const source = start();
    await clock.advance(10);
    await expect(source.ready).rejects.toThrow(expect.objectContaining({ code: 'INMESH_CA_REFUSED' }));
  });

  test('saves each certificate and starts with it when the authority is down', async () => {
    const cache = memoryCache();
    const { clock, ca, state, start } = await setUp({ cache });
    await start().ready;
    await clock.advance(1);
    expect(cache.saved?.svid.id).toEqual(ca.id('reviews'));
    state.failure = down();
    const again = start();
    await clock.advance(1);
    await again.ready;
    expect(again.svid()).toBe(cache.saved?.svid);
  });

  test('prefers a fresh certificate to a saved one when the authority answers', async () => {
    const cache = memoryCache();
    const { ca, start } = await setUp({ cache });
    const old = ca.svid('reviews');
    cache.saved = { svid: old, bundles: [ca.bundle] };
    const source = start();
    await source.ready;
    expect(source.svid()).not.toBe(old);
  });

  test('goes on with a saved certificate when the authority does not answer in time', async () => {
    const cache = memoryCache();
    const { clock, ca, start } = await setUp({ cache, obtain: () => new Promise(() => {}) });
    const old = ca.svid('reviews');
    cache.saved = { svid: old, bundles: [ca.bundle] };
    const source = start();
    await clock.advance(200);
    expect(source.svid()).toBeUndefined();
    await clock.advance(100);
    await source.ready;
    expect(source.svid()).toBe(old);
  });

  test('does not start with a saved certificate that has expired', async () => {
    const cache = memoryCache();
    const { clock, ca, state, start } = await setUp({ cache });
    cache.saved = { svid: ca.svid('reviews', { lifeMs: -1000 }), bundles: [ca.bundle] };
    state.failure = down();
    const source = start();
    await clock.advance(5000);
    expect(source.svid()).toBeUndefined();
  });

  test.each([
    ['forward', 36 * HOUR],
    ['back', -36 * HOUR],
  ])('renews within five seconds after the calendar jumped %s', async (_, jumpMs) => {
    const { clock, state, start, jump } = await setUp();
    const source = start();
    await source.ready;
    await clock.advance(60_000);
    expect(state.calls.length).toBe(1);
    jump(jumpMs);
    await clock.advance(5000);
    expect(state.calls.length).toBe(2);
    expect(source.svid()?.notAfterMs).toBe(
      clock.wallTime() + jumpMs + 24 * HOUR - (clock.now() - state.calls[1]!),
    );
  });

  test('an authority whose clock is behind is not asked in a busy loop', async () => {
    const { clock, state, start } = await setUp();
    state.lifeMs = -1000;
    start();
    await clock.advance(60_000);
    expect(state.calls.length).toBeLessThanOrEqual(61);
  });

  test('goes on after an error that is a bug of whoever obtains certificates', async () => {
    const { clock, state, start } = await setUp();
    state.failure = new TypeError('undefined is not a function');
    const source = start();
    await clock.advance(1000);
    state.failure = undefined;
    await clock.advance(2000);
    expect(source.svid()).toBeDefined();
  });

  test('closing stops it: no timer is left, and who waits is told', async () => {
    const { clock, state, start } = await setUp();
    state.failure = down();
    const source = start();
    await clock.advance(50);
    const renewal = source.renewNow();
    source.close();
    await expect(renewal).rejects.toThrow(expect.objectContaining({ code: 'INMESH_CLOSED' }));
    await expect(source.ready).rejects.toThrow(expect.objectContaining({ code: 'INMESH_CLOSED' }));
    await clock.advance(60_000);
    expect(clock.pending).toBe(0);
  });
});

describe('what the control plane says of whom to trust', () => {
  const trustOf = (ca: TestCa, tainted: readonly string[]): Trust => ({
    trustDomain: 'cluster.local',
    bundles: [ca.bundle],
    tainted: new Set(tainted),
    distrusted: new Set(),
    renewWithinMs: 10_000,
  });

  test('has a certificate renewed whose authority is on its way out, within the time it gives', async () => {
    const { clock, ca, state, start } = await setUp();
    const source = start();
    await source.ready;
    source.trust?.(trustOf(ca, []));
    await clock.advance(20_000);
    expect(state.calls).toHaveLength(1);
    source.trust?.(trustOf(ca, [fingerprintOf(ca.bundle.certificates[0]!)]));
    await clock.advance(10_000);
    expect(state.calls).toHaveLength(2);
  });

  test('has a certificate renewed that no authority vouches for any more', async () => {
    const { clock, state, start } = await setUp();
    const source = start();
    await source.ready;
    source.trust?.(trustOf(await createTestCa({ clock }), []));
    await clock.advance(10_000);
    expect(state.calls).toHaveLength(2);
  });

  test('outlives a restart', async () => {
    const cache = memoryCache();
    const { ca, start } = await setUp({ cache });
    const source = start();
    await source.ready;
    const other = await createTestCa();
    source.trust?.({ ...trustOf(ca, []), bundles: [joinBundles(ca.bundle, other.bundle)] });
    expect(cache.saved?.bundles[0]?.authorities).toHaveLength(2);
  });
});
