import { describe, expect, test } from 'vitest';
import { createJwksCache, type JwksCacheOptions } from '../../../src/identity/jwks-cache.js';
import type { WebAnswer } from '../../../src/identity/web-fetch.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

const URI = 'https://issuer.test/keys';
const keySet = (...ids: string[]) => JSON.stringify({ keys: ids.map((kid) => ({ kty: 'EC', kid })) });
const MINUTE = 60_000;

/** An issuer whose answers a test sets, and its cache. */
function issuer(options: Partial<JwksCacheOptions> = {}) {
  const clock = createFakeClock();
  const asked: string[] = [];
  const answers: { set: string | number | Error; maxAgeMs: number | undefined; discovery: string } = {
    set: keySet('a'),
    maxAgeMs: undefined,
    discovery: '',
  };
  const cache = createJwksCache({
    location: { kind: 'uri', uri: URI },
    clock,
    random: () => 0.5,
    fetch: ({ url }): Promise<WebAnswer> => {
      asked.push(url);
      if (url.includes('/.well-known/'))
        return Promise.resolve({ status: 200, text: answers.discovery, maxAgeMs: undefined });
      const { set, maxAgeMs } = answers;
      if (set instanceof Error) return Promise.reject(set);
      if (typeof set === 'number') return Promise.resolve({ status: set, text: keySet('evil'), maxAgeMs });
      return Promise.resolve({ status: 200, text: set, maxAgeMs });
    },
    ...options,
  });
  const ids = async (of = cache.keys()) => (await of)?.keys.map(({ kid }) => kid);
  return { cache, clock, asked, answers, ids };
}

describe('keys of an issuer', () => {
  test('are fetched once for all who ask at the same time, and kept', async () => {
    const { ids, asked, clock } = issuer();
    expect(await Promise.all([ids(), ids(), ids()])).toEqual([['a'], ['a'], ['a']]);
    await clock.advance(10 * MINUTE);
    expect(await ids()).toEqual(['a']);
    expect(asked).toEqual([URI]);
  });

  test('are fetched anew when they are due, while the old ones are used', async () => {
    const { ids, asked, answers, clock } = issuer();
    await ids();
    answers.set = keySet('b');
    await clock.advance(20 * MINUTE);
    expect(await ids()).toEqual(['a']);
    await clock.advance(0);
    expect(await ids()).toEqual(['b']);
    expect(asked).toHaveLength(2);
  });

  test('are kept for as long as the server says, within a minute and an hour', async () => {
    for (const [saidMs, dueMs] of [
      [0, MINUTE],
      [5 * MINUTE, 5 * MINUTE],
      [1e9, 60 * MINUTE],
    ] as const) {
      const { ids, asked, answers, clock } = issuer();
      answers.maxAgeMs = saidMs;
      await ids();
      await clock.advance(dueMs - 1);
      await ids();
      expect(asked).toHaveLength(1);
      await clock.advance(1);
      await ids();
      expect(asked).toHaveLength(2);
    }
  });

  test('fail closed: none without an answer, none after a day without a good one', async () => {
    const { ids, answers, clock, cache } = issuer({ refreshMs: MINUTE, maxAgeMs: 60 * MINUTE });
    answers.set = new Error('refused');
    expect(await ids()).toBeUndefined();
    answers.set = keySet('a');
    await clock.advance(MINUTE);
    expect(await ids()).toEqual(['a']);
    answers.set = 500;
    await clock.advance(60 * MINUTE);
    expect(await ids()).toEqual(['a']);
    await clock.advance(1);
    expect(await ids()).toBeUndefined();
    expect(cache.document.value).toBeUndefined();
  });

  test.each(['', '[]', '{"keys":{}}', '{"__proto__":{"keys":[]}}', `{"keys":[${'{},'.repeat(1_000)}{}]}`])(
    'a bad answer (%#) changes nothing',
    async (bad) => {
      const { ids, answers, clock } = issuer();
      await ids();
      answers.set = bad;
      await clock.advance(20 * MINUTE);
      await ids();
      await clock.advance(0);
      expect(await ids()).toEqual(['a']);
    },
  );

  test('a server that fails is asked after growing waits, however many ask here', async () => {
    const { ids, asked, answers, clock } = issuer();
    answers.set = 503;
    for (let second = 0; second < 120; second++) {
      for (let caller = 0; caller < 20; caller++) await ids();
      await clock.advance(1_000);
    }
    expect(asked.length).toBeLessThan(9);
  });

  test('an unknown key is looked for at once, but not again before the limit', async () => {
    const { cache, ids, asked, answers, clock } = issuer();
    await ids();
    await clock.advance(MINUTE);
    answers.set = keySet('a', 'b');
    expect(await ids(cache.keysWith('b'))).toEqual(['a', 'b']);
    for (let index = 0; index < 100; index++) await cache.keysWith(`evil-${index}`);
    expect(asked).toHaveLength(2);
    await clock.advance(30_000);
    await Promise.all([cache.keysWith('evil'), cache.keysWith('worse')]);
    expect(asked).toHaveLength(3);
  });

  test('who follows them hears of changes without asking', async () => {
    const { cache, asked, answers, clock } = issuer();
    const heard: unknown[] = [];
    cache.document.subscribe((document) => heard.push(document?.keys.map(({ kid }) => kid)));
    cache.follow();
    cache.follow();
    await clock.advance(0);
    answers.set = keySet('b');
    await clock.advance(20 * MINUTE);
    expect(heard).toEqual([['a'], ['b']]);
    cache.close();
    await clock.advance(60 * MINUTE);
    expect(asked).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  test('are found by discovery, if the document is of that issuer', async () => {
    const location = { kind: 'issuer', issuer: 'https://issuer.test/realm/' } as const;
    const good = issuer({ location });
    good.answers.discovery = JSON.stringify({ issuer: location.issuer, jwks_uri: URI });
    expect(await good.ids()).toEqual(['a']);
    expect(good.asked).toEqual(['https://issuer.test/realm/.well-known/openid-configuration', URI]);
    for (const bad of [
      { issuer: 'https://issuer.test/other', jwks_uri: URI },
      { issuer: location.issuer },
      { issuer: location.issuer, jwks_uri: 'http://169.254.169.254/keys' },
      { issuer: location.issuer, jwks_uri: 'file:///etc/passwd' },
      null,
    ]) {
      const { ids, answers } = issuer({ location });
      answers.discovery = JSON.stringify(bad);
      expect(await ids()).toBeUndefined();
    }
  });
});
