import { describe, expect, test } from 'vitest';
import { followIssuerKeys } from '../../../src/control-plane/issuer-keys.js';
import type { JwtRule } from '../../../src/control-plane/kinds/types.js';
import type { WebAnswer } from '../../../src/identity/web-fetch.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createSignal } from '../../../src/runtime/signal.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { viewOf } from './compile/mesh.js';

const rules = (...texts: readonly string[]): string =>
  `apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: one}\nspec: {jwtRules: [${texts.join(', ')}]}\n`;

const BY_URI = '{issuer: a, jwksUri: "https://a.test/keys"}';
const BY_ISSUER = '{issuer: "https://b.test"}';
const NONE = '{"keys":[]}';

/** Issuers on the web of a test, and the keys that are followed. */
function world(text: string) {
  const clock = createFakeClock();
  const view = createSignal(viewOf(text));
  const pages = new Map<string, string | Error>([
    ['https://a.test/keys', '{"keys":["a1"]}'],
    [
      'https://b.test/.well-known/openid-configuration',
      '{"issuer":"https://b.test","jwks_uri":"https://b.test/k"}',
    ],
    ['https://b.test/k', '{"keys":["b1"]}'],
  ]);
  const asked: { url: string; timeoutMs: number | undefined }[] = [];
  let changes = 0;
  const keys = followIssuerKeys(
    view,
    {},
    {
      fetch: ({ url, timeoutMs }): Promise<WebAnswer> => {
        asked.push({ url, timeoutMs });
        const page = pages.get(url);
        return typeof page === 'string'
          ? Promise.resolve({ status: 200, text: page, maxAgeMs: undefined })
          : Promise.reject(page ?? new Error('not there'));
      },
      clock,
      random: () => 0.5,
      logger: silentLogger,
      changed: () => changes++,
    },
  );
  const ruleAt = (index: number): JwtRule => {
    const rule = view.value.list('RequestAuthentication')[0]?.spec.jwtRules?.[index];
    if (rule === undefined) throw new Error('no such rule');
    return rule;
  };
  return { clock, view, pages, asked, keys, ruleAt, changes: () => changes };
}

describe('the keys of issuers that documents name', () => {
  test('are fetched before anybody asks; until then there are none', async () => {
    const { clock, keys, ruleAt, changes } = world(rules(BY_URI));
    expect(keys.keysOf(ruleAt(0))).toBe(NONE);
    await clock.advance(0);
    expect(keys.keysOf(ruleAt(0))).toBe('{"keys":["a1"]}');
    expect([keys.revision, changes()]).toEqual([1, 1]);
    keys.close();
  });

  test('are looked up at the issuer when no rule says where they are', async () => {
    const { clock, keys, ruleAt, asked } = world(rules(BY_ISSUER));
    await clock.advance(0);
    expect(keys.keysOf(ruleAt(0))).toBe('{"keys":["b1"]}');
    expect(asked.map(({ url }) => url)).toEqual([
      'https://b.test/.well-known/openid-configuration',
      'https://b.test/k',
    ]);
    keys.close();
  });

  test('are fetched anew every 20 minutes, and a change is told', async () => {
    const { clock, keys, ruleAt, pages, changes } = world(rules(BY_URI));
    await clock.advance(0);
    pages.set('https://a.test/keys', '{"keys":["a2"]}');
    await clock.advance(20 * 60_000);
    expect(keys.keysOf(ruleAt(0))).toBe('{"keys":["a2"]}');
    expect(changes()).toBe(2);
    keys.close();
  });

  test('stay when the issuer is gone, for a day at most', async () => {
    const { clock, keys, ruleAt, pages } = world(rules(BY_URI));
    await clock.advance(0);
    pages.set('https://a.test/keys', new Error('down'));
    await clock.advance(23 * 3_600_000);
    expect(keys.keysOf(ruleAt(0))).toBe('{"keys":["a1"]}');
    await clock.advance(2 * 3_600_000);
    expect(keys.keysOf(ruleAt(0))).toBe(NONE);
    keys.close();
  });

  test('are none while an issuer answers with something else', async () => {
    const { clock, keys, ruleAt, pages } = world(rules(BY_URI, BY_ISSUER));
    pages.set('https://a.test/keys', '<html>');
    pages.set(
      'https://b.test/.well-known/openid-configuration',
      '{"issuer":"https://evil.test","jwks_uri":"https://b.test/k"}',
    );
    await clock.advance(0);
    expect([keys.keysOf(ruleAt(0)), keys.keysOf(ruleAt(1))]).toEqual([NONE, NONE]);
    keys.close();
  });

  test('of a rule that holds its own are those, and nobody is asked', async () => {
    const { clock, keys, ruleAt, asked } = world(
      rules(`{issuer: a, jwks: '{"keys":["own"]}'}`.replace('"own"', '{"kty":"oct","k":"AA"}')),
    );
    await clock.advance(0);
    expect(keys.keysOf(ruleAt(0))).toBe('{"keys":[{"kty":"oct","k":"AA"}]}');
    expect(asked).toEqual([]);
    keys.close();
  });

  test('are no longer fetched when no document names them', async () => {
    const { clock, keys, view, asked } = world(rules(BY_URI));
    await clock.advance(0);
    view.set(viewOf(rules(BY_ISSUER)));
    await clock.advance(60 * 60_000);
    expect(asked.filter(({ url }) => url === 'https://a.test/keys')).toHaveLength(1);
    keys.close();
  });

  test('are waited for as long as the rule says', async () => {
    const { clock, keys, asked } = world(rules('{issuer: a, jwksUri: "https://a.test/keys", timeout: 3s}'));
    await clock.advance(0);
    expect(asked).toEqual([{ url: 'https://a.test/keys', timeoutMs: 3000 }]);
    keys.close();
  });
});
