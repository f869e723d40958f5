import { describe, expect, test } from 'vitest';
import { createMeshConfig, type MeshSettings } from '../../../../src/control-plane/mesh/mesh-config.js';
import { checkAuthorization } from '../../../../src/control-plane/policy/authorization-check.js';
import type { CheckedRequest } from '../../../../src/control-plane/policy/checked-request.js';
import { policy } from '../compile/authorization/support.js';
import { registryOf, viewOf } from '../compile/mesh.js';

const TARGET = { namespace: 'default', labels: {} };

function decide(
  text: string,
  request: Partial<CheckedRequest> = {},
  {
    target = {},
    mesh = {},
  }: { readonly target?: { readonly service?: string }; readonly mesh?: MeshSettings } = {},
) {
  const registry = registryOf([{ service: 'opa', namespace: 'default', address: '10.0.0.9', port: 9191 }]);
  const world = { view: viewOf(text), registry, config: createMeshConfig(mesh) };
  const { decision } = checkAuthorization(world, {
    ...TARGET,
    ...target,
    request: { protocol: 'http', ...request },
  });
  return decision;
}

const verdict = (...args: Parameters<typeof decide>) => decide(...args)?.verdict;

/** Allows what a condition says. */
const when = (key: string, value: string) =>
  policy('one', `{rules: [{when: [{key: "${key}", values: ["${value}"]}]}]}`);

describe('the workload', () => {
  test('that serves a service has its name as a label', () => {
    const text = policy('one', '{selector: {matchLabels: {app: cart}}}');
    expect(verdict(text)).toBe('allowed');
    expect(verdict(text, {}, { target: { service: 'cart' } })).toBe('denied');
  });

  test('asks providers that registered without a document', () => {
    const text = policy('one', '{action: CUSTOM, provider: {name: opa}, rules: [{}]}');
    const provider = { service: 'opa.default.svc.cluster.local', port: 9191 };
    const mesh = { extensionProviders: [{ name: 'opa', envoyExtAuthzGrpc: provider }] };
    expect(verdict(text, {}, { mesh })).toBe('asked');
    expect(verdict(text)).toBe('denied');
  });
});

describe('the head', () => {
  test('a header Host is the host', () => {
    const text = policy('one', '{rules: [{to: [{operation: {hosts: [cart.shop]}}]}]}');
    expect(verdict(text, { headers: [['Host', 'cart.shop']] })).toBe('allowed');
    expect(verdict(text, { headers: [['Host', 'other']], authority: 'cart.shop' })).toBe('denied');
  });

  test('the case of a method counts', () => {
    const text = policy('one', '{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}');
    expect([verdict(text), verdict(text, { method: 'get' })]).toEqual(['denied', 'allowed']);
  });

  test('only members may say what is for members', () => {
    const text = when('request.headers[x-envoy-original-path]', '/a');
    const headers = [['X-Envoy-Original-Path', '/a']] as const;
    expect(verdict(text, { headers })).toBe('denied');
    expect(verdict(text, { headers, principal: 'cluster.local/ns/shop/sa/web' })).toBe('allowed');
  });

  test('nobody is believed who he says he is', () => {
    const text = when('request.headers[x-forwarded-client-cert]', '*/sa/admin');
    const headers = [['x-forwarded-client-cert', 'URI=spiffe://cluster.local/ns/shop/sa/admin']] as const;
    expect(verdict(text, { headers })).toBe('denied');
    expect(verdict(text, { headers, principal: 'cluster.local/ns/shop/sa/web' })).toBe('denied');
    expect(verdict(text, { principal: 'cluster.local/ns/shop/sa/admin' })).toBe('allowed');
  });
});

describe('the connection', () => {
  test('has the name that was asked for in TLS, also without a certificate', () => {
    expect(verdict(when('connection.sni', 'cart.shop'), { serverName: 'cart.shop' })).toBe('allowed');
    const members = policy('one', '{rules: [{from: [{source: {principals: ["*"]}}]}]}');
    expect(verdict(members, { serverName: 'cart.shop' })).toBe('denied');
  });

  test('has no claims', () => {
    const text = when('experimental.envoy.filters.http.jwt_authn[payload]', '*').replace(
      'rules',
      'action: DENY, rules',
    );
    expect(verdict(text.replace('values', 'notValues'), { protocol: 'tcp', claims: { sub: 'a' } })).toBe(
      'denied',
    );
  });
});

describe('a token', () => {
  const rule = (rest: string) =>
    `---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: jwt, namespace: default}\nspec: {jwtRules: [{issuer: a.example, jwks: '{"keys": []}'${rest}}]}\n`;
  const claims = { iss: 'a.example', sub: 'alice', scope: 'read write', roles: 'a b' };

  test.each([
    ['request.auth.claims[scope]', 'write', '', 'allowed'],
    ['request.auth.claims[scope]', 'read write', '', 'denied'],
    ['request.auth.claims[roles]', 'a b', '', 'allowed'],
    ['request.auth.claims[roles]', 'b', ', spaceDelimitedClaims: [roles]', 'allowed'],
    ['request.headers[x-sub]', 'alice', ', outputClaimToHeaders: [{header: X-Sub, claim: sub}]', 'allowed'],
    ['request.headers[x-sub]', 'forged', ', outputClaimToHeaders: [{header: X-Sub, claim: sub}]', 'denied'],
    ['request.headers[x-sub]', 'forged', '', 'allowed'],
    ['request.headers[authorization]', '*', '', 'denied'],
    ['request.headers[authorization]', '*', ', forwardOriginalToken: true', 'allowed'],
    ['request.headers[authorization]', '*', ', fromHeaders: [{name: x-token}]', 'allowed'],
  ])('%s is %s with {%s}: %s', (key, value, rest, expected) => {
    const headers = [
      ['x-sub', 'forged'],
      ['authorization', 'Bearer e30.e30.e30'],
    ] as const;
    expect(verdict(when(key, value) + rule(rest), { claims, headers })).toBe(expected);
  });

  test('is not needed for its headers to be taken off', () => {
    const text = when('request.headers[x-sub]', 'forged');
    const headers = [['x-sub', 'forged']] as const;
    const writes = ', outputClaimToHeaders: [{header: x-sub, claim: sub}]';
    expect(verdict(text + rule(writes), { headers })).toBe('denied');
  });
});

test('a policy may look at what a dry run came to', () => {
  const tried = policy(
    'tried',
    '{action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]}',
    'namespace: default, annotations: {istio.io/dry-run: "true"}',
  );
  const text =
    tried + when('experimental.envoy.filters.http.rbac[istio_dry_run_deny_shadow_engine_result]', 'denied');
  expect([verdict(text, { path: '/a' }), verdict(text, { path: '/b' })]).toEqual(['allowed', 'denied']);
  expect(decide(text, { path: '/a' })?.steps.map(({ action, result }) => `${action} ${result}`)).toEqual([
    'DENY would-deny',
    'ALLOW passed',
  ]);
});
