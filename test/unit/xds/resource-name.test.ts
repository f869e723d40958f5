import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  authorityOf,
  canonicalName,
  collectionOf,
  encodePath,
  formatResourceName,
  isCollection,
  parseResourceName,
} from '../../../src/xds/resource-name.js';

const TYPE = 'envoy.config.listener.v3.Listener';

describe('names of resources', () => {
  test.each([
    ['plain', 'plain'],
    ['a name/with?everything#', 'a name/with?everything#'],
    [`xdstp://auth/${TYPE}/id`, `xdstp://auth/${TYPE}/id`],
    [`xdstp://auth/${TYPE}/a/b/c`, `xdstp://auth/${TYPE}/a/b/c`],
    [`xdstp:///${TYPE}/id`, `xdstp:///${TYPE}/id`],
    [`xdstp://auth/${TYPE}/id?b=2&a=1`, `xdstp://auth/${TYPE}/id?a=1&b=2`],
    [`xdstp://auth/${TYPE}/id?`, `xdstp://auth/${TYPE}/id`],
    [`xdstp://auth/${TYPE}/id#fragment`, `xdstp://auth/${TYPE}/id`],
    [`xdstp://auth/${TYPE}/%5B::1%5D:80`, `xdstp://auth/${TYPE}/%5B::1%5D:80`],
    [`xdstp://auth/${TYPE}/%61%3A`, `xdstp://auth/${TYPE}/a:`],
    [`xdstp://auth/${TYPE}/x?k=%26%3D`, `xdstp://auth/${TYPE}/x?k=%26%3D`],
    ['xdstp://auth', 'xdstp://auth'],
    [`xdstp://auth/${TYPE}/%zz`, `xdstp://auth/${TYPE}/%zz`],
  ])('%s is written %s', (name, canonical) => {
    expect(canonicalName(name)).toBe(canonical);
    expect(canonicalName(canonical)).toBe(canonical);
  });

  test.each([
    ['plain', '#old'],
    [`xdstp://auth/${TYPE}/id`, 'auth'],
    [`xdstp:///${TYPE}/id`, ''],
    ['xdstp://auth', undefined],
    ['xdstp:auth/x/y', undefined],
    [`xdstp://auth/${TYPE}/id?key`, undefined],
  ])('%s belongs to %s', (name, authority) => {
    expect(authorityOf(name)).toBe(authority);
  });

  test.each([
    ['plain', undefined],
    [`xdstp://a/${TYPE}/id`, `xdstp://a/${TYPE}/*`],
    [`xdstp://a/${TYPE}/x/y?k=a/b`, `xdstp://a/${TYPE}/x/*?k=a/b`],
  ])('%s is of the collection %s', (name, collection) => {
    expect(collectionOf(name)).toBe(collection);
    expect(isCollection(collection ?? '')).toBe(collection !== undefined);
    expect(isCollection(name)).toBe(false);
  });

  test('what goes into a template is encoded for a path', () => {
    expect(encodePath('[::1]:8080/%a b')).toBe('%5B::1%5D:8080/%25a%20b');
  });

  test('reads what it writes', () => {
    const text = fc.string({ unit: 'binary', maxLength: 12 }).map((one) => Buffer.from(one).toString());
    const name = fc.record({
      authority: text,
      type: text.filter((one) => one !== ''),
      id: text,
      context: fc
        .uniqueArray(fc.tuple(text, text), { maxLength: 4, selector: ([key]) => key })
        .map((pairs) => new Map(pairs)),
    });
    fc.assert(
      fc.property(name, (parts) => {
        // A slash would end the type.
        fc.pre(!parts.type.includes('/'));
        expect(parseResourceName(formatResourceName(parts))).toEqual(parts);
      }),
    );
  });
});
