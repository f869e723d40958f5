import { beforeEach, describe, expect, test } from 'vitest';
import { DnsCache } from '../../../src/cluster/dns-cache.js';
import { DnsCaches } from '../../../src/cluster/dns-caches.js';
import type { DnsAnswer, ResolveName } from '../../../src/cluster/resolve-name.js';
import type { DnsCacheConfig } from '../../../src/model/dns-cache.js';
import { Abort } from '../../../src/runtime/abort.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';

const CACHE: DnsCacheConfig = {
  name: 'cache',
  lookupFamily: undefined,
  refreshRateMs: 60_000,
  minRefreshRateMs: 5000,
  failureRefresh: undefined,
  hostTtlMs: 300_000,
  maxHosts: 1024,
  maxPendingRequests: 1024,
  preresolve: [],
  queryTimeoutMs: 5000,
};

let clock: FakeClock;
let asked: string[];
/** Answers by name; without one the name server is silent. */
let answers: Record<string, readonly DnsAnswer[] | Error>;
const resolve: ResolveName = (name) => {
  asked.push(name);
  const answer = answers[name];
  if (answer === undefined) return new Promise(() => {});
  return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
};
const tools = () => ({ clock, random: seededRandom(1), logger: silentLogger, resolve });
const cacheOf = (change: Partial<DnsCacheConfig> = {}) => new DnsCache({ ...CACHE, ...change }, tools());
const at = (address: string, port = 80) => ({ address, port });

beforeEach(() => {
  clock = createFakeClock();
  asked = [];
  answers = {};
});

describe('a cache of names', () => {
  test('asks once for a name, however many wait for it, and then knows', async () => {
    answers['a'] = ['10.0.0.1', '10.0.0.2'];
    const cache = cacheOf();
    const both = await Promise.all([
      cache.resolve(at('a'), new Abort()),
      cache.resolve(at('a'), new Abort()),
    ]);
    const known = { kind: 'resolved', addresses: ['10.0.0.1', '10.0.0.2'] };
    expect(both).toEqual([known, known]);
    expect(cache.resolve(at('a'), new Abort())).toEqual(known);
    expect(asked).toEqual(['a']);
    expect(cache.addresses('a:80')).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(cache.addresses('a:81')).toBeUndefined();
    cache.close();
    expect(clock.pending).toBe(0);
  });

  test('does not ask for addresses', () => {
    expect(cacheOf().resolve(at('::1'), new Abort())).toEqual({ kind: 'resolved', addresses: ['::1'] });
    expect(asked).toEqual([]);
  });

  test('says why a name has no address, and asks again for whoever comes next', async () => {
    answers['a'] = new Error('queryA ENOTFOUND a');
    const cache = cacheOf();
    const failed = { kind: 'failed', details: 'queryA ENOTFOUND a' };
    expect(await cache.resolve(at('a'), new Abort())).toEqual(failed);
    expect(cache.addresses('a:80')).toBeUndefined();
    answers['a'] = ['10.0.0.1'];
    expect(await cache.resolve(at('a'), new Abort())).toMatchObject({ kind: 'resolved' });
    expect(asked).toEqual(['a', 'a']);
  });

  test('waits no longer than the timeout for an answer, and one that comes later says nothing', async () => {
    const cache = cacheOf({ queryTimeoutMs: 1000 });
    const outcome = cache.resolve(at('a'), new Abort());
    await clock.advance(1000);
    expect(await outcome).toEqual({ kind: 'failed', details: 'resolve_timeout' });
  });

  test('an empty answer is a failure of a name without address, and nothing to one that has some', async () => {
    answers['a'] = [];
    const cache = cacheOf();
    expect(await cache.resolve(at('a'), new Abort())).toMatchObject({ kind: 'failed' });
    answers['a'] = ['10.0.0.1'];
    await cache.resolve(at('a'), new Abort());
    answers['a'] = [];
    await clock.advance(60_000);
    expect(cache.addresses('a:80')).toEqual(['10.0.0.1']);
  });

  test.each([
    ['10.0.0.1', 60_000],
    [{ address: '10.0.0.1', ttlMs: 30_000 }, 30_000],
    [{ address: '10.0.0.1', ttlMs: 1000 }, 5000],
  ])('%j is asked for again after %i ms', async (answer, waitMs) => {
    answers['a'] = [answer];
    const cache = cacheOf();
    await cache.resolve(at('a'), new Abort());
    await clock.advance(waitMs - 1);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(asked).toHaveLength(2);
  });

  test('a failure keeps the addresses, and is tried again with growing waits', async () => {
    answers['a'] = [{ address: '10.0.0.1', ttlMs: 5000 }];
    const cache = cacheOf({ failureRefresh: { baseMs: 1000, maxMs: 4000 } });
    await cache.resolve(at('a'), new Abort());
    answers['a'] = new Error('SERVFAIL');
    await clock.advance(5000);
    expect(asked).toHaveLength(2);
    await clock.advance(1000);
    expect(asked.length).toBeGreaterThan(2);
    expect(cache.addresses('a:80')).toEqual(['10.0.0.1']);
  });

  test('tells of an address that is gone, not of another order', async () => {
    answers['a'] = ['10.0.0.1', '10.0.0.2'];
    const cache = cacheOf();
    await cache.resolve(at('a'), new Abort());
    const told: string[] = [];
    cache.onChange((key) => told.push(key));
    answers['a'] = ['10.0.0.2', '10.0.0.1'];
    await clock.advance(60_000);
    expect(told).toEqual([]);
    expect(cache.addresses('a:80')).toEqual(['10.0.0.1', '10.0.0.2']);
    answers['a'] = ['10.0.0.2'];
    await clock.advance(60_000);
    expect(told).toEqual(['a:80']);
    expect(cache.addresses('a:80')).toEqual(['10.0.0.2']);
  });

  test('forgets a name that nobody used, when it would be asked for again', async () => {
    answers['a'] = ['10.0.0.1'];
    answers['b'] = ['10.0.0.2'];
    const cache = cacheOf({ hostTtlMs: 90_000 });
    await cache.resolve(at('a'), new Abort());
    await cache.resolve(at('b'), new Abort());
    const told: string[] = [];
    cache.onChange((key) => told.push(key));
    await clock.advance(60_000);
    cache.addresses('b:80');
    await clock.advance(60_000);
    expect(told).toEqual(['a:80']);
    expect(cache.addresses('a:80')).toBeUndefined();
    expect(cache.addresses('b:80')).toEqual(['10.0.0.2']);
  });

  test('has room for so many names; those that it has are still served', async () => {
    answers['a'] = ['10.0.0.1'];
    const cache = cacheOf({ maxHosts: 1 });
    await cache.resolve(at('a'), new Abort());
    expect(cache.resolve(at('b'), new Abort())).toEqual({ kind: 'full' });
    expect(cache.resolve(at('a'), new Abort())).toMatchObject({ kind: 'resolved' });
  });

  test('lets so many requests wait; those that give up make room', async () => {
    answers['known'] = ['10.0.0.1'];
    const cache = cacheOf({ maxPendingRequests: 1 });
    await cache.resolve(at('known'), new Abort());
    const abort = new Abort();
    const waiting = cache.resolve(at('silent'), abort);
    expect(cache.resolve(at('silent'), new Abort())).toEqual({ kind: 'overflow' });
    // Envoy: it is asked for every request.
    expect(cache.resolve(at('known'), new Abort())).toEqual({ kind: 'overflow' });
    abort.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    expect(cache.resolve(at('known'), new Abort())).toMatchObject({ kind: 'resolved' });
  });

  test('resolves names before anybody asks', async () => {
    answers['a'] = ['10.0.0.1'];
    const cache = cacheOf({ preresolve: [at('a', 443)] });
    await clock.advance(0);
    expect(cache.addresses('a:443')).toEqual(['10.0.0.1']);
  });

  test('leaves nobody waiting when it is closed', async () => {
    const cache = cacheOf();
    const waiting = cache.resolve(at('silent'), new Abort());
    cache.close();
    expect(await waiting).toMatchObject({ kind: 'failed' });
  });
});

test('equal configurations share a cache until the last one is gone', async () => {
  answers['a'] = ['10.0.0.1'];
  const caches = new DnsCaches(tools);
  const first = caches.acquire(CACHE);
  await first.cache.resolve(at('a'), new Abort());
  const second = caches.acquire({ ...CACHE });
  expect(caches.acquire({ ...CACHE, name: 'other' }).cache).not.toBe(first.cache);
  first.release();
  first.release();
  expect(second.cache.addresses('a:80')).toEqual(['10.0.0.1']);
  second.release();
  expect(second.cache.addresses('a:80')).toBeUndefined();
  expect(caches.acquire(CACHE).cache).not.toBe(second.cache);
});
