import { describe, expect, test } from 'vitest';
import type { HeaderMatcher } from '../../../src/model/matcher.js';
import type { RbacPermission, RbacPrincipal, RbacRules } from '../../../src/model/rbac.js';
import { compileStrictRbac } from '../../../src/routing/rbac.js';
import { HeaderMap } from '../../../src/service/headers.js';
import { makeRequest } from '../filters/support.js';

const exact = (value: string) => ({ kind: 'exact' as const, value, ignoreCase: false });
const path = (value: string): RbacPermission => ({ kind: 'path', matcher: exact(value) });
const header = (name: string, value: string): RbacPermission & RbacPrincipal => {
  const match: HeaderMatcher['match'] = { kind: 'string', matcher: exact(value) };
  return { kind: 'header', matcher: { name, match, invert: false, treatMissingAsEmpty: false } };
};
const not = (of: RbacPermission): RbacPermission => ({ kind: 'not', of });
const rules = (action: RbacRules['action'], permission: RbacPermission): RbacRules => ({
  action,
  policies: [{ name: 'p', permissions: [permission], principals: [{ kind: 'any' }] }],
});

const decide = (one: RbacRules, request: Parameters<typeof makeRequest>[0]) =>
  compileStrictRbac(one)(makeRequest(request)).allowed;

describe('a path that is denied', () => {
  test.each([
    '/admin',
    '/admin?x=/public',
    '/admin#x',
    '/admin;a=b',
    '/x/..;/admin',
    '/x;y/../admin',
    '//admin',
    '/%2fadmin',
    '/%2Fadmin',
    '/%5cadmin',
    '\\admin',
    '/admin%3bx',
    '/x/..%2fadmin',
  ])('is denied as %s', (text) => {
    expect(decide(rules('deny', path('/admin')), { path: text })).toBe(false);
  });

  test.each(['/', '/administrator', '/x/admin', '/x;admin', '/?admin'])('is not denied as %s', (text) => {
    expect(decide(rules('deny', path('/admin')), { path: text })).toBe(true);
  });

  test('by a template, too', () => {
    const template = rules('deny', { kind: 'template', template: '/a/*/c' });
    expect(decide(template, { path: '/a/b;x/c' })).toBe(false);
    expect(decide(template, { path: '/a//b/c' })).toBe(false);
    expect(decide(template, { path: '/a/b/d' })).toBe(true);
  });
});

describe('a header that is denied', () => {
  test.each([
    [['admin']],
    [['user', 'admin']],
    [['admin', 'user']],
    [['user, admin']],
    [['user,admin ']],
    [['a', 'b, admin']],
  ])('is denied as %j', (lines) => {
    const headers = HeaderMap.from(lines.map((line) => ['x-role', line] as const));
    expect(decide(rules('deny', header('x-role', 'admin')), { headers })).toBe(false);
  });

  test('is denied as what its lines are together', () => {
    const headers = HeaderMap.from([
      ['x-role', 'a'],
      ['x-role', 'b'],
    ]);
    expect(decide(rules('deny', header('x-role', 'a,b')), { headers })).toBe(false);
    expect(decide(rules('deny', header('x-role', 'c')), { headers })).toBe(true);
  });
});

describe('a host that is denied', () => {
  test.each(['a.org', 'a.org:8080', 'a.org.', 'A.org:80', 'a.org.:80'])('is denied as %s', (authority) => {
    expect(decide(rules('deny', header(':authority', 'a.org')), { authority })).toBe(false);
  });
});

describe('what is allowed', () => {
  test('is allowed as before', () => {
    expect(decide(rules('allow', path('/a')), { path: '/a' })).toBe(true);
    expect(decide(rules('allow', header('x-type', 'a, b')), { header: { 'x-type': 'a, b' } })).toBe(true);
    expect(decide(rules('allow', header(':authority', 'a:80')), { authority: 'a:80' })).toBe(true);
  });

  test.each([['/admin;x'], ['//admin']])('is not what an exception means, as %s', (text) => {
    expect(decide(rules('allow', not(path('/admin'))), { path: text })).toBe(false);
  });

  test('is not a list that holds what an exception names', () => {
    const allowed = rules('allow', not(header('x-role', 'banned')));
    expect(decide(allowed, { header: { 'x-role': 'user, banned' } })).toBe(false);
    expect(decide(allowed, { header: { 'x-role': 'user' } })).toBe(true);
    expect(decide(allowed, {})).toBe(true);
  });
});
