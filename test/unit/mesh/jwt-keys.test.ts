import { beforeAll, describe, expect, test } from 'vitest';
import type { JwksSource } from '../../../src/model/jwt-authn.js';
import type { MemoryAnswer } from '../../../src/testing/memory-transport.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { configOf, createIssuer, type Issuer, providerOf, setOf, sign } from '../filters/jwt-fixtures.js';
import { createDataPath, type DataPath } from './support.js';

/** Keys that are fetched through a cluster. */

let first: Issuer;
let second: Issuer;

beforeAll(async () => {
  first = await createIssuer();
  second = await createIssuer('ES256', 'k2');
});

type Remote = Extract<JwksSource, { kind: 'remote' }>;

interface Scene {
  readonly path: DataPath;
  /** How often the keys were asked for. */
  readonly fetches: () => number;
  answer(answer: MemoryAnswer | 'hang'): void;
  get(token: string): Promise<number>;
}

function scene(change: Partial<Remote> = {}): Scene {
  const jwks: Remote = {
    kind: 'remote',
    uri: { uri: 'http://keys.example/jwks?x=1', cluster: 'keys', timeoutMs: 1000 },
    cacheDurationMs: 60_000,
    asyncFetch: undefined,
    retry: undefined,
    ...change,
  };
  const shop = host('shop:80', [forward('shop')]);
  const config = configOf({ p: providerOf('', { jwks }) });
  const filters = [{ name: 'jwt', config }, ...shop.listener.http.filters];
  const listener = { ...shop.listener, http: { ...shop.listener.http, filters } };
  const path = createDataPath(
    snapshotOf([{ ...shop, listener }], [cluster('shop', [endpoint(1)]), cluster('keys', [endpoint(2)])]),
  );
  path.network.serve('127.0.0.1:1', { status: 200 });
  return {
    path,
    fetches: () => path.network.counts().get('127.0.0.1:2') ?? 0,
    answer: (answer) =>
      path.network.serve('127.0.0.1:2', () => (answer === 'hang' ? new Promise(() => {}) : answer)),
    async get(token) {
      const response = await path.send('http://shop', { header: { authorization: `Bearer ${token}` } });
      return response.status;
    },
  };
}

/** The claims are checked against the calendar of the fake clock. */
const tokenOf = (issuer: Issuer) => sign(issuer, { exp: 0 });

const served = (...issuers: readonly Issuer[]): MemoryAnswer => ({
  status: 200,
  body: setOf(...issuers.map(({ jwk }) => jwk)),
});

describe('remote keys', () => {
  test('are fetched by the first request, shared by those that come meanwhile, and remembered', async () => {
    const { path, answer, get, fetches } = scene();
    answer(served(first));
    const token = await tokenOf(first);
    expect(await Promise.all([get(token), get(token), get(token)])).toEqual([200, 200, 200]);
    expect(await get(token)).toBe(200);
    expect(fetches()).toBe(1);
    const [fetch] = path.network.attempts.filter(({ address }) => address === '127.0.0.1:2');
    expect(fetch?.request).toMatchObject({
      method: 'GET',
      authority: 'keys.example',
      path: '/jwks?x=1',
      scheme: 'http',
    });
  });

  test('are fetched again when they expired; a key that is new is found then', async () => {
    const { path, answer, get, fetches } = scene();
    answer(served(first));
    await get(await tokenOf(first));
    answer(served(second));
    // What was fetched a moment ago is not fetched for an unknown key.
    expect(await get(await tokenOf(second))).toBe(401);
    await path.clock.advance(60_000);
    expect(await get(await tokenOf(second))).toBe(200);
    expect(fetches()).toBe(2);
  });

  test('are fetched again for a key that is not among them, but not for every token that names one', async () => {
    const { path, answer, get, fetches } = scene();
    answer(served(first));
    await get(await tokenOf(first));
    answer(served(first, second));
    await path.clock.advance(30_000);
    expect(await get(await tokenOf(second))).toBe(200);
    const made = await createIssuer('ES256', 'made-up');
    for (let i = 0; i < 5; i++) expect(await get(await tokenOf(made))).toBe(401);
    expect(fetches()).toBe(2);
    await path.clock.advance(29_999);
    expect(await get(await tokenOf(made))).toBe(401);
    expect(fetches()).toBe(2);
  });

  test.each<[string, MemoryAnswer]>([
    ['another status', { status: 404, body: '{"keys":[]}' }],
    ['no set', { status: 200, body: 'hello' }],
    ['a broken connection', { failure: 'reset' }],
    ['too much', { status: 200, body: ' '.repeat(1024 * 1024 + 1) }],
  ])('an answer with %s refuses the request, and the next one asks again', async (_name, bad) => {
    const { answer, get, fetches } = scene();
    answer(bad);
    const token = await tokenOf(first);
    expect(await get(token)).toBe(401);
    answer(served(first));
    expect(await get(token)).toBe(200);
    expect(fetches()).toBe(2);
  });

  test('that do not come in time refuse the request', async () => {
    const { path, answer, get } = scene();
    answer('hang');
    const pending = get(await tokenOf(first));
    await path.clock.advance(999);
    await path.clock.advance(1);
    expect(await pending).toBe(401);
  });

  test('are asked for again within one request when retries are configured', async () => {
    const { path, answer, get, fetches } = scene({
      retry: { numRetries: 2, baseIntervalMs: 100, maxIntervalMs: 1000 },
    });
    answer({ status: 503 });
    const pending = get(await tokenOf(first));
    await path.clock.advance(0);
    expect(fetches()).toBe(1);
    answer(served(first));
    await path.clock.advance(200);
    expect(await pending).toBe(200);
    expect(fetches()).toBe(2);
  });

  test('fetched ahead are there for the first request, renewed before they expire, and kept while that fails', async () => {
    const { path, answer, get, fetches } = scene({
      asyncFetch: { fastListener: true, failedRefetchMs: 2000 },
    });
    answer(served(first));
    await path.clock.advance(0);
    expect(fetches()).toBe(1);
    answer({ status: 503 });
    await path.clock.advance(55_000);
    expect(fetches()).toBe(2);
    expect(await get(await tokenOf(first))).toBe(200);
    answer(served(second));
    await path.clock.advance(2000);
    expect(fetches()).toBe(3);
    expect(await get(await tokenOf(second))).toBe(200);
    expect(await get(await tokenOf(first))).toBe(401);
  });
});
