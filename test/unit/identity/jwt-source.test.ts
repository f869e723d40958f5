import { describe, expect, test } from 'vitest';
import { JwtCache } from '../../../src/identity/jwt-source.js';
import type { JwtSvid } from '../../../src/identity/jwt-svid.js';
import { parseSpiffeId } from '../../../src/identity/spiffe-id.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

const id = parseSpiffeId('spiffe://td.test/a');

function setUp() {
  const clock = createFakeClock();
  let fetched = 0;
  const state = { fails: false };
  const fetch = async (audience: readonly string[]): Promise<JwtSvid> => {
    if (state.fails) throw new Error('down');
    const now = clock.wallTime();
    return {
      id,
      token: `${audience.join()}-${++fetched}`,
      audience,
      issuedAtMs: now,
      expiresAtMs: now + 60_000,
      claims: {},
      hint: '',
    };
  };
  return { clock, state, cache: new JwtCache(fetch, { clock, logger: silentLogger }) };
}

describe('tokens that are kept', () => {
  test('are renewed at half of their life, without anybody waiting', async () => {
    const { clock, cache } = setUp();
    expect((await cache.fetchJwtSvid('x')).token).toBe('x-1');
    await clock.advance(29_999);
    expect((await cache.fetchJwtSvid('x')).token).toBe('x-1');
    await clock.advance(1);
    expect((await cache.fetchJwtSvid('x')).token).toBe('x-1');
    expect((await cache.fetchJwtSvid('x')).token).toBe('x-2');
  });

  test('are used to their end while there is no new one, and no longer', async () => {
    const { clock, state, cache } = setUp();
    await cache.fetchJwtSvid('x');
    state.fails = true;
    await clock.advance(54_999);
    expect((await cache.fetchJwtSvid('x')).token).toBe('x-1');
    await clock.advance(1);
    await expect(cache.fetchJwtSvid('x')).rejects.toThrow('down');
  });

  test('are fetched once for those who ask at the same time, whatever the order of the audiences', async () => {
    const { cache } = setUp();
    const all = await Promise.all([cache.fetchJwtSvid(['x', 'y']), cache.fetchJwtSvid(['y', 'x'])]);
    expect(all.map(({ token }) => token)).toEqual(['x,y-1', 'x,y-1']);
  });

  test('are forgotten when the identity changes, also those on their way', async () => {
    const { cache } = setUp();
    const old = cache.fetchJwtSvid('x');
    cache.clear();
    expect((await old).token).toBe('x-1');
    expect((await cache.fetchJwtSvid('x')).token).toBe('x-2');
    expect((await cache.fetchJwtSvid('x')).token).toBe('x-2');
  });

  test('are of a bounded number', async () => {
    const { cache } = setUp();
    const first = await cache.fetchJwtSvid('a0');
    for (let i = 1; i <= 1000; i++) await cache.fetchJwtSvid(`a${i}`);
    expect((await cache.fetchJwtSvid('a0')).token).not.toBe(first.token);
  });
});
