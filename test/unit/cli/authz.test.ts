import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { run } from './run.js';

let folder = '';
let policies = '';
let mesh = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inmesh-authz-'));
  policies = join(folder, 'policies.yaml');
  mesh = join(folder, 'mesh.yaml');
  await writeFile(policies, POLICIES);
  await writeFile(mesh, MESH);
});

afterAll(() => rm(folder, { recursive: true }));

const POLICIES = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: viewers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]
    to: [{operation: {methods: [GET]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: istio-system}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin, "/admin/*"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tried, namespace: shop, annotations: {istio.io/dry-run: "true"}}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/beta]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask, namespace: shop}
spec: {action: CUSTOM, provider: {name: checker}, rules: [{to: [{operation: {paths: [/ask]}}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: checker, namespace: shop}
spec: {ports: [{name: http, port: 8000}]}
`;

const ALLOWED_PATH = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allowed, namespace: shop}
spec: {rules: [{to: [{operation: {paths: [/a/b]}}]}]}
`;

const MESH = `
trustDomain: cluster.local
extensionProviders:
- name: checker
  envoyExtAuthzHttp: {service: shop/checker.shop.svc.cluster.local, port: 8000}
- name: traces
  zipkin: {service: zipkin.shop.svc.cluster.local, port: 9411}
enableTracing: true
`;

const check = (...args: string[]) =>
  run('authz', 'check', '-f', policies, '--mesh-config', mesh, '-n', 'shop', '-l', 'app=cart', ...args);

describe('inmesh authz check', () => {
  test('lists the policies of a workload', async () => {
    const { code, out } = await check();
    expect(code).toBe(0);
    expect(out.split('\n').map((line) => line.split(/ {3,}/).slice(0, 4))).toEqual([
      ['ACTION', 'POLICY', 'RULES', 'SCOPE'],
      ['CUSTOM', 'shop/ask', '1', 'namespace'],
      ['DENY', 'istio-system/no-admin', '1', 'mesh'],
      ['DENY', 'shop/tried', '1', 'namespace'],
      ['ALLOW', 'shop/viewers', '1', 'workload'],
      [''],
    ]);
  });

  test.each([
    [['GET', '/', '--from', 'shop/web'], 'allowed', 0],
    [['POST', '/', '--from', 'shop/web'], 'denied', 1],
    [['GET', '/', '--from', 'shop/other'], 'denied', 1],
    [['GET', '/'], 'denied', 1],
    [['GET', '/x/../admin/users', '--from', 'shop/web'], 'denied', 1],
    [['GET', '/beta', '--from', 'shop/web'], 'allowed', 0],
    [['GET', 'http://cart.shop:9000/ask?x=1', '--from', 'shop/web'], 'asked', 0],
    [['GET', '/a#b', '--from', 'shop/web'], 'denied', 1],
    [['--tcp', '--from', 'shop/web'], 'denied', 1],
  ])('%j is %s', async (args, verdict, exit) => {
    const { code, out } = await check(...args, '-o', 'json');
    expect([JSON.parse(out).decision.verdict, code]).toEqual([verdict, exit]);
  });

  test('says by which rule', async () => {
    const { out } = await check('GET', '/admin', '--from', 'shop/web', '-o', 'yaml');
    expect(parse(out).decision.steps.at(-1)).toEqual({
      action: 'DENY',
      result: 'denied',
      rule: 'ns[istio-system]-policy[no-admin]-rule[0]',
    });
  });

  test.each([
    ['', 1],
    ['pathNormalization: { normalization: DEFAULT }', 1],
    ['pathNormalization: { normalization: MERGE_SLASHES }', 0],
    ['pathNormalization: { normalization: DECODE_AND_MERGE_SLASHES }', 0],
  ])('sees the path as the mesh with %j makes it', async (settings, exit) => {
    const files = [join(folder, 'paths.yaml'), join(folder, 'paths-mesh.yaml')] as const;
    await writeFile(files[0], ALLOWED_PATH);
    await writeFile(files[1], settings);
    const options = settings === '' ? [] : ['--mesh-config', files[1]];
    const { code } = await run('authz', 'check', '-f', files[0], '-n', 'shop', ...options, 'GET', '/a//b');
    expect(code).toBe(exit);
  });

  test('points at what of a MeshConfig is not read', async () => {
    const { err } = await check();
    expect(err).toMatch(/mesh\.yaml:8:1 warning .*enableTracing of a MeshConfig is not read here/);
  });

  test('refuses what nobody could ask', async () => {
    expect((await check('GET', '/', '--claims', '[1]')).code).toBe(2);
    expect((await check('GET', '/', '-H', 'x')).code).toBe(2);
  });
});

describe('inmesh compile rbac', () => {
  const compile = (...args: string[]) =>
    run(
      'compile',
      'rbac',
      '-f',
      policies,
      '--proxy-namespace',
      'shop',
      '--proxy-labels',
      'app=cart',
      ...args,
    );

  test('prints the filters of a workload in their order', async () => {
    const { code, out } = await compile('--mesh-config', mesh, '--kind', 'http');
    expect(code).toBe(0);
    expect(JSON.parse(out).map(({ name }: { name: string }) => name)).toEqual([
      'envoy.filters.http.rbac',
      'envoy.filters.http.ext_authz',
      'envoy.filters.http.rbac',
      'envoy.filters.http.rbac',
    ]);
  });

  test('refuses what a provider that is not there would decide about, and says so', async () => {
    const { out, err } = await compile();
    expect(err).toContain('there is no authorization provider "checker"; known: none');
    const [custom] = JSON.parse(out).http;
    expect(Object.keys(custom.typed_config.rules.policies)).toEqual([
      'istio-ext-authz-checker-ns[shop]-policy[ask]-rule[0]-deny-due-to-bad-CUSTOM-action',
    ]);
  });

  test('needs a file', async () => {
    expect((await run('compile', 'rbac')).code).toBe(2);
    expect((await run('compile')).code).toBe(2);
  });
});
