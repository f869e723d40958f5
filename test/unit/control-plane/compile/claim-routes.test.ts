import { describe, expect, test } from 'vitest';
import { compileMatch } from '../../../../src/control-plane/compile/route-match.js';
import { claimPath } from '../../../../src/control-plane/kinds/claim-name.js';
import { compileConditions } from '../../../../src/routing/conditions.js';
import { makeRequest } from '../../filters/support.js';
import { complaintsAbout } from '../load.js';

describe('names that stand for claims', () => {
  test.each([
    ['@request.auth.claims.group', ['group']],
    ['@request.auth.claims.nested.group', ['nested', 'group']],
    ['@request.auth.claims[https://a.b/c][d]', ['https://a.b/c', 'd']],
    ['@Request.Auth.Claims.Group', ['Group']],
    ['@request.auth.claims', undefined],
    ['@request.auth.claims.', undefined],
    ['@request.auth.claims[]', undefined],
    ['@request.auth.claims-x', undefined],
    ['x-header', undefined],
  ])('%s', (name, path) => {
    expect(claimPath(name)).toEqual(path);
  });
});

/** Whether a match of claims holds for the claims of a token. */
function holds(match: Parameters<typeof compileMatch>[0], payload: unknown): boolean {
  const test = compileConditions(compileMatch(match));
  const request = makeRequest({ path: '/' });
  if (payload !== undefined) {
    request.context.dynamicMetadata = new Map([['envoy.filters.http.jwt_authn', { payload }]]);
  }
  return test(request, 0);
}

describe('a route that asks for claims', () => {
  const admins = { headers: { '@request.auth.claims.groups': { exact: 'admin' } } };

  test('matches the text and each member of a list', () => {
    expect(holds(admins, { groups: 'admin' })).toBe(true);
    expect(holds(admins, { groups: ['users', 'admin'] })).toBe(true);
    expect(holds(admins, { groups: ['users'] })).toBe(false);
    expect(holds(admins, { groups: 'administrators' })).toBe(false);
  });

  test('does not match without a verified token', () => {
    expect(holds(admins, undefined)).toBe(false);
  });

  test('a header of that name counts for nothing', () => {
    const test = compileConditions(compileMatch(admins));
    expect(test(makeRequest({ path: '/', header: { 'x-groups': 'admin' } }), 0)).toBe(false);
  });

  test('matches nested claims, prefixes, expressions and presence', () => {
    const nested = { headers: { '@request.auth.claims[a][b]': { prefix: 'x-' } } };
    expect([holds(nested, { a: { b: 'x-1' } }), holds(nested, { a: { b: 'y' } })]).toEqual([true, false]);
    const present = { headers: { '@request.auth.claims.sub': {} } };
    expect([holds(present, { sub: 'a' }), holds(present, {})]).toEqual([true, false]);
  });

  test('and one that asks for their absence', () => {
    const without = { withoutHeaders: { '@request.auth.claims.groups': { exact: 'admin' } } };
    expect([
      holds(without, { groups: 'admin' }),
      holds(without, { groups: 'users' }),
      holds(without, undefined),
    ]).toEqual([false, true, true]);
  });
});

test('in the mesh no route is chosen by claims', () => {
  const text = (gateways: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: one}
spec:
  hosts: [reviews]
  gateways: [${gateways}]
  http:
  - match: [{headers: {"@request.auth.claims.groups": {exact: admin}}}]
    route: [{destination: {host: reviews}}]
`;
  const complaints = (gateways: string) =>
    complaintsAbout(text(gateways)).filter((line) => line.includes('claims'));
  expect(complaints('mesh')).toEqual([expect.stringContaining('at gateways only')]);
  expect(complaints('edge')).toEqual([]);
});
