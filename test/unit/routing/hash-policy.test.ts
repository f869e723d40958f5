import { beforeAll, describe, expect, test } from 'vitest';
import type { HashCookie, HashPolicy, HashSource } from '../../../src/model/hash-policy.js';
import { compileHashPolicies } from '../../../src/routing/hash-policy.js';
import { loadHashes, xxHash64 } from '../../../src/runtime/hash.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request } from '../../../src/service/service.js';
import { makeRequest } from '../filters/support.js';

const policy = (source: HashSource, terminal = false): HashPolicy => ({ source, terminal });
const header = (name: string): HashSource => ({ kind: 'header', name });
const cookie = (change: Partial<HashCookie> = {}): HashCookie => ({
  kind: 'cookie',
  name: 'session',
  ttlSeconds: undefined,
  path: '',
  attributes: [],
  ...change,
});

function hashOf(policies: readonly HashPolicy[], request: Request): bigint | undefined {
  return compileHashPolicies(policies, '10.1.2.3')?.(request);
}

const withHeaders = (...lines: readonly (readonly [string, string])[]): Request =>
  makeRequest({ headers: HeaderMap.from(lines) });

beforeAll(loadHashes);

describe('hash policies', () => {
  test('a route without any has no hash', () => expect(compileHashPolicies([], '')).toBeUndefined());

  test('a header is hashed by its value, pseudo-headers too; without it there is nothing', () => {
    expect(hashOf([policy(header('x-user'))], withHeaders(['x-user', 'jason']))).toBe(xxHash64('jason'));
    expect(hashOf([policy(header(':path'))], makeRequest({ path: '/a?b' }))).toBe(xxHash64('/a?b'));
    expect(hashOf([policy(header('host'))], makeRequest({ authority: 'a.b' }))).toBe(xxHash64('a.b'));
    expect(hashOf([policy(header('x-user'))], withHeaders())).toBeUndefined();
  });

  test('lines of one header are hashed in the order of their bytes, each seeding the next', () => {
    const one = hashOf([policy(header('x'))], withHeaders(['x', 'foo'], ['x', 'bar']));
    expect(one).toBe(xxHash64('foo', xxHash64('bar')));
    expect(one).toBe(hashOf([policy(header('x'))], withHeaders(['x', 'bar'], ['x', 'foo'])));
  });

  test('a value is rewritten first', () => {
    const rewrite = { pattern: '^user-(\\d+).*', substitution: '\\1' };
    const source: HashSource = { kind: 'header', name: 'x-user', rewrite };
    expect(hashOf([policy(source)], withHeaders(['x-user', 'user-42-b']))).toBe(xxHash64('42'));
  });

  test('bytes of a header that are not ASCII count one by one', () => {
    const expected = xxHash64(Buffer.from([0xe9]));
    expect(hashOf([policy(header('x'))], withHeaders(['x', 'é']))).toBe(expected);
  });

  test('a query parameter counts undecoded, its first value only', () => {
    const source: HashSource = { kind: 'query-parameter', name: 'key' };
    expect(hashOf([policy(source)], makeRequest({ path: '/?key=a%20b&key=c' }))).toBe(xxHash64('a%20b'));
    expect(hashOf([policy(source)], makeRequest({ path: '/' }))).toBeUndefined();
  });

  test('the caller’s address counts without its port; requests of this process have its own', () => {
    const request = makeRequest();
    expect(hashOf([policy({ kind: 'source-ip' })], request)).toBe(xxHash64('10.1.2.3'));
    const remote = { address: '192.0.2.1', port: 99 };
    request.context.connection = { id: 1, directRemote: remote, remote, local: undefined, tls: undefined };
    expect(hashOf([policy({ kind: 'source-ip' })], request)).toBe(xxHash64('192.0.2.1'));
  });

  test('filter state counts as text or by the hash of its own', () => {
    const source: HashSource = { kind: 'filter-state', key: 'who' };
    const request = makeRequest();
    expect(hashOf([policy(source)], request)).toBeUndefined();
    request.context.filterState = new Map<string, unknown>([['who', 'jason']]);
    expect(hashOf([policy(source)], request)).toBe(xxHash64('jason'));
    request.context.filterState.set('who', { hash: () => 7n });
    expect(hashOf([policy(source)], request)).toBe(7n);
    request.context.filterState.set('who', 7);
    expect(hashOf([policy(source)], request)).toBeUndefined();
  });

  test('hashes are joined by rotating and xor, in 64 bits', () => {
    const state = (key: string): HashPolicy => policy({ kind: 'filter-state', key });
    const request = makeRequest();
    const top = 1n << 63n;
    request.context.filterState = new Map(
      Object.entries({ a: top | 1n, b: 5n }).map(([key, value]) => [key, { hash: () => value }]),
    );
    expect(hashOf([state('a'), state('none'), state('b')], request)).toBe(3n ^ 5n);
    expect(hashOf([state('a'), state('a')], request)).toBe(3n ^ (top | 1n));
  });

  test('a terminal policy ends the walk once there is a hash', () => {
    const policies = [policy(header('a'), true), policy(header('b'))];
    expect(hashOf(policies, withHeaders(['a', '1'], ['b', '2']))).toBe(xxHash64('1'));
    expect(hashOf(policies, withHeaders(['b', '2']))).toBe(xxHash64('2'));
  });
});

describe('the hash of a cookie', () => {
  test('is that of its value, quotes aside; the first of the name counts', () => {
    const request = withHeaders(['cookie', 'a=1;  session="x y"; session=z'], ['cookie', 'session=q']);
    expect(hashOf([policy(cookie())], request)).toBe(xxHash64('x y'));
  });

  test('without a time to live, who has none is given none', () => {
    const request = withHeaders(['cookie', 'sessions=1; session']);
    expect(hashOf([policy(cookie())], request)).toBeUndefined();
    expect(request.context.setCookies).toBeUndefined();
  });

  test('with a time to live it is made once per request, by the ends of the connection', () => {
    const source = cookie({
      ttlSeconds: 30,
      path: '/p',
      attributes: [
        { name: 'SameSite', value: 'Lax' },
        { name: 'Secure', value: '' },
      ],
    });
    const request = makeRequest();
    const remote = { address: '192.0.2.1', port: 99 };
    const local = { address: '::1', port: 80 };
    request.context.connection = { id: 1, directRemote: remote, remote, local, tls: undefined };
    const value = xxHash64('192.0.2.1:99[::1]:80').toString(16).padStart(16, '0');
    expect(hashOf([policy(source)], request)).toBe(xxHash64(value));
    expect(hashOf([policy(source)], request)).toBe(xxHash64(value));
    expect(request.context.setCookies?.map(({ line }) => line)).toEqual([
      `session="${value}"; Max-Age=30; Path=/p; SameSite=Lax; Secure; HttpOnly`,
    ]);
  });

  test('a time to live of 0 makes it one for the session', () => {
    const request = makeRequest();
    hashOf([policy(cookie({ ttlSeconds: 0 }))], request);
    expect(request.context.setCookies?.[0]?.line).toMatch(/^session="[0-9a-f]{16}"; HttpOnly$/);
  });
});
