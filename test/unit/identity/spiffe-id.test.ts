import { describe, expect, test } from 'vitest';
import { istioId, parseSpiffeId, parseTrustDomain, SpiffeId } from '../../../src/identity/spiffe-id.js';

const refusal = expect.objectContaining({ code: 'INMESH_SPIFFE_ID' });

describe('parseSpiffeId', () => {
  test('takes an ID apart', () => {
    const id = parseSpiffeId('spiffe://cluster.local/ns/default/sa/reviews');
    expect(id.trustDomain).toBe('cluster.local');
    expect(id.path).toBe('/ns/default/sa/reviews');
    expect(`${id}`).toBe('spiffe://cluster.local/ns/default/sa/reviews');
    expect(JSON.stringify({ id })).toBe('{"id":"spiffe://cluster.local/ns/default/sa/reviews"}');
  });

  test('accepts a trust domain without a path', () => {
    expect(parseSpiffeId('spiffe://td').path).toBe('');
  });

  test.each([
    ['another scheme', 'https://td/a'],
    ['an upper-case scheme', 'SPIFFE://td/a'],
    ['no trust domain', 'spiffe:///a'],
    ['an upper-case trust domain', 'spiffe://Td/a'],
    ['a port', 'spiffe://td:8443/a'],
    ['a user', 'spiffe://user@td/a'],
    ['a query', 'spiffe://td/a?b'],
    ['a fragment', 'spiffe://td/a#b'],
    ['percent-encoding', 'spiffe://td/%61'],
    ['a slash at the end', 'spiffe://td/a/'],
    ['a slash after the trust domain', 'spiffe://td/'],
    ['an empty segment', 'spiffe://td/a//b'],
    ['a dot segment', 'spiffe://td/a/../b'],
    ['a NUL', 'spiffe://td/a\0'],
    ['a line feed at the end', 'spiffe://td/a\n'],
    ['a letter beyond ASCII', 'spiffe://td/\u00e4'],
    ['a trust domain of 256 bytes', `spiffe://${'a'.repeat(256)}/a`],
    ['2049 bytes', `spiffe://td/${'a'.repeat(2049 - 12)}`],
  ])('refuses %s', (_, text) => {
    expect(() => parseSpiffeId(text)).toThrow(refusal);
  });

  test('accepts 2048 bytes and a trust domain of 255', () => {
    expect(parseSpiffeId(`spiffe://td/${'a'.repeat(2048 - 12)}`).trustDomain).toBe('td');
    expect(parseSpiffeId(`spiffe://${'a'.repeat(255)}/a`).path).toBe('/a');
  });

  test('an ID cannot be changed', () => {
    const id = parseSpiffeId('spiffe://td/a');
    expect(() => Object.assign(id, { path: '/b' })).toThrow(TypeError);
  });
});

test('equal means the same text', () => {
  expect(parseSpiffeId('spiffe://td/a').equals(new SpiffeId('td', '/a'))).toBe(true);
  expect(parseSpiffeId('spiffe://td/a').equals(new SpiffeId('td', '/b'))).toBe(false);
});

test('a name with a slash cannot become another service account', () => {
  expect(istioId('td', 'default', 'reviews').path).toBe('/ns/default/sa/reviews');
  expect(() => istioId('td', 'default', 'a/sa/b')).toThrow(refusal);
  expect(() => istioId('td', 'default/sa/b', 'a')).toThrow(refusal);
  expect(() => istioId('td', '..', 'a')).toThrow(refusal);
});

test('a trust domain may be given bare or as an ID', () => {
  expect(parseTrustDomain('__proto__')).toBe('__proto__');
  expect(parseTrustDomain('spiffe://td/a')).toBe('td');
  expect(() => parseTrustDomain('')).toThrow(refusal);
  expect(() => parseTrustDomain('a/b')).toThrow(refusal);
});
