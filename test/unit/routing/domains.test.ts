import { describe, expect, test } from 'vitest';
import { indexDomains } from '../../../src/routing/domains.js';

const index = indexDomains([
  ['reviews', 'exact'],
  ['*.foo.com', 'suffix'],
  ['*.bar.foo.com', 'long suffix'],
  ['foo.*', 'prefix'],
  ['foo.bar.*', 'long prefix'],
  ['a.foo.com', 'exact under a suffix'],
  ['*', 'any'],
]);

describe('the index of domains', () => {
  test.each([
    ['reviews', 'exact'],
    ['REVIEWS', 'exact'],
    ['a.foo.com', 'exact under a suffix'],
    ['b.foo.com', 'suffix'],
    ['x.bar.foo.com', 'long suffix'],
    ['foo.org', 'prefix'],
    ['foo.bar.org', 'long prefix'],
    ['foo.bar.foo.com', 'long suffix'],
    ['reviews:9080', 'any'],
    ['', 'any'],
  ])('finds the most specific domain for %s', (authority, expected) => {
    expect(index.find(authority)).toBe(expected);
  });

  test('lets a wildcard stand for at least one character', () => {
    expect(index.find('.foo.com')).toBe('any');
    expect(index.find('foo.')).toBe('any');
  });

  test('does not look at the host when the only domain is a star', () => {
    expect(indexDomains([['*', 1]]).find('whatever')).toBe(1);
  });

  test('finds nothing without a star when no domain covers the host', () => {
    expect(indexDomains([['a', 1]]).find('b')).toBeUndefined();
  });

  test('is not confused by names of object members', () => {
    expect(indexDomains([['a', 1]]).find('__proto__')).toBeUndefined();
    expect(indexDomains([['a', 1]]).find('constructor')).toBeUndefined();
  });
});
