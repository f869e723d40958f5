import { describe, expect, test } from 'vitest';
import {
  authorizeAliases,
  authorizeAll,
  authorizeAny,
  authorizeIds,
  authorizeOneOf,
  authorizePathPrefix,
  authorizeTrustDomains,
} from '../../../src/identity/authorizer.js';
import { parseSpiffeId } from '../../../src/identity/spiffe-id.js';

const id = parseSpiffeId;

describe('authorizers', () => {
  test('by a path hold for whole segments of one trust domain', () => {
    const prod = authorizePathPrefix('td.test', '/ns/prod');
    expect(prod(id('spiffe://td.test/ns/prod/sa/a'))).toBe(true);
    expect(prod(id('spiffe://td.test/ns/prod'))).toBe(true);
    expect(prod(id('spiffe://td.test/ns/production'))).toBe(false);
    expect(prod(id('spiffe://other.test/ns/prod/sa/a'))).toBe(false);
  });

  test.each(['/ns/prod/', 'ns', '/a//b', '/..'])('by %j could never hold, and are refused', (prefix) => {
    expect(() => authorizePathPrefix('td.test', prefix)).toThrow('INMESH_SPIFFE_ID');
  });

  test('are combined', () => {
    const own = authorizeTrustDomains(['td.test']);
    const admin = authorizeIds(['spiffe://td.test/admin']);
    expect(authorizeAll(own, admin)(id('spiffe://td.test/a'))).toBe(false);
    expect(authorizeAll(own, admin)(id('spiffe://td.test/admin'))).toBe(true);
    expect(authorizeOneOf(own, admin)(id('spiffe://td.test/a'))).toBe(true);
    expect(authorizeAll()(id('spiffe://x/a'))).toBe(true);
    expect(authorizeOneOf()(id('spiffe://x/a'))).toBe(false);
    expect(authorizeAny()(id('spiffe://x/a'))).toBe(true);
  });

  test('take an alias for the trust domain that it stands for', () => {
    const moved = authorizeAliases(authorizeIds(['spiffe://new.test/a']), 'new.test', ['old.test']);
    expect(moved(id('spiffe://old.test/a'))).toBe(true);
    expect(moved(id('spiffe://new.test/a'))).toBe(true);
    expect(moved(id('spiffe://old.test/b'))).toBe(false);
    expect(moved(id('spiffe://other.test/a'))).toBe(false);
  });
});
