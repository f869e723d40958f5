import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { main } from '../../../src/cli/main.js';
import { OPENAPI } from '../../../src/control-plane/admin/openapi.js';
import { ROUTES } from '../../../src/control-plane/admin/routes.js';
import { type ControlPlane, createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { service } from '../../unit/control-plane/compile/mesh.js';

let plane: ControlPlane;
beforeAll(async () => {
  plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [createMemorySource(service('reviews'), 'mesh.yaml')],
    massRemoval: { minimum: 3 },
  });
});
afterAll(() => plane.close());

type Json = Readonly<Record<string, unknown>>;
interface Operation {
  readonly requestBody?: { readonly content: Json };
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly content?: Json }>>;
}
const PATHS: Readonly<Record<string, Readonly<Record<string, Operation>>>> = OPENAPI.paths;

/** Schemas by themselves, and nothing besides what they say: what is answered is written down. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const { $ref, allOf, ...rest } = value as Json;
  if (typeof $ref === 'string') {
    const at = $ref.slice(2).split('/');
    return closed(at.reduce<unknown>((inside, key) => (inside as Json)[key], OPENAPI));
  }
  if (Array.isArray(allOf)) {
    const parts = allOf.map((one) => closed(one) as { properties: Json; required: string[] });
    return {
      type: 'object',
      additionalProperties: false,
      properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
      required: parts.flatMap(({ required }) => required),
    };
  }
  const own = Object.fromEntries(Object.entries(rest).map(([key, one]) => [key, closed(one)]));
  return 'properties' in own && !('additionalProperties' in own)
    ? { ...own, additionalProperties: false }
    : own;
}

function schemaIn(operation: Operation | undefined, status: number): object {
  const { $ref, content = {} } = operation?.responses[status] ?? {};
  const found = $ref === undefined ? content : OPENAPI.components.responses.Error.content;
  return (found['application/json'] as { readonly schema: object }).schema;
}

const covered = new Set<string>();

/** Asks, and compares the answer with what the OpenAPI document says of it. */
async function ask(method: string, template: string, body?: unknown, path = template) {
  const response = await fetch(`http://${plane.addresses.http}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const operation = PATHS[template]?.[method.toLowerCase()];
  const { status } = response;
  expect(Object.keys(operation?.responses ?? {}), `${method} ${template}`).toContain(String(status));
  if (status < 300) covered.add(`${method} ${template}`);
  const text = await response.text();
  if (response.headers.get('content-type') !== 'application/json') return { status, body: text as never };
  const answer = JSON.parse(text);
  // The code stands by itself, and not in the message once more.
  if (status >= 400 && answer.error !== undefined)
    expect(answer.error.message).not.toContain(answer.error.code);
  // What `closed` gives is a schema still.
  const schema = z.fromJSONSchema(
    closed(schemaIn(operation, status)) as Parameters<typeof z.fromJSONSchema>[0],
  );
  const { error } = schema.safeParse(answer);
  expect(error?.issues ?? [], `${method} ${path}: ${text.slice(0, 2_000)}`).toEqual([]);
  return { status, body: answer };
}

const route = (name: string, host = 'reviews') => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'default' },
  spec: { hosts: ['reviews'], http: [{ route: [{ destination: { host } }] }] },
});
const ONE = '/api/resources/{kind}/{namespace}/{name}';

test('every route is in the OpenAPI document, and nothing else is', () => {
  const routes = ROUTES.map(({ method, path }) => `${method} ${path}`);
  const described = Object.entries(PATHS).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(routes.sort()).toEqual(described.sort());
});

test('the published document is the one that is served', async () => {
  const file = new URL('../../../docs/openapi.json', import.meta.url);
  const text = `${JSON.stringify(OPENAPI, undefined, 2)}\n`;
  if (process.env['UPDATE_SHAPE'] !== undefined) writeFileSync(file, text);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(text));
  expect((await ask('GET', '/openapi.json')).body).toEqual(JSON.parse(text));
  expect((await ask('GET', '/api/openapi.json')).body).toEqual(JSON.parse(text));
  // The package has it, too.
  const { default: packed } = await import('inmesh/openapi.json', { with: { type: 'json' } });
  expect(packed).toEqual(JSON.parse(text));
});

test('answers are what the OpenAPI document says', async () => {
  await ask('POST', '/api/resources', route('a'), '/api/resources?message=first');
  await ask('POST', '/api/resources', route('a'));
  await ask('PUT', ONE, route('b'), '/api/resources/vs/default/b');
  await ask('PUT', ONE, route('b', 'nobody'), '/api/resources/vs/default/b');
  await ask('GET', ONE, undefined, '/api/resources/vs/default/b');
  await ask('GET', ONE, undefined, '/api/resources/vs/default/zz');
  await ask('GET', '/api/resources');
  await ask('POST', '/api/batches', { changes: [{ op: 'apply', object: route('c') }], message: 'more' });
  await ask('POST', '/api/batches', { changes: 7 });
  await ask('POST', '/api/dry-run', {
    changes: [
      {
        op: 'apply',
        object: { ...route('a'), spec: { hosts: ['reviews'], http: [{ redirect: { uri: '/' } }] } },
      },
    ],
    requests: [{ url: 'http://reviews:9080/' }, { url: 'http://reviews:9080/' }],
  });
  await ask('GET', '/api/history');
  await ask('GET', '/api/history/{revision}', undefined, '/api/history/3');
  await ask('GET', '/api/diff', undefined, '/api/diff?from=2');
  await ask('POST', '/api/rollback', { to: 3 });
  const removed = ['a', 'b'].map((name) => ({ op: 'delete', kind: 'vs', name }));
  expect(await ask('POST', '/api/batches', { changes: removed })).toMatchObject({ status: 409 });
  await ask('DELETE', ONE, undefined, '/api/resources/vs/default/b');
  expect(await ask('POST', '/api/held/confirm', {})).toMatchObject({ status: 404 });
  covered.add('POST /api/held/confirm');
  for (const path of ['/version', '/api/status', '/api/config', '/api/applied', '/api/mtls', '/api/load'])
    await ask('GET', path);
  for (const path of [
    '/healthz/live',
    '/healthz/ready',
    '/ready',
    '/metrics',
    '/ca/roots.pem',
    '/ca/crl.pem',
  ])
    await ask('GET', path);
  await ask('GET', '/api/ca');
  await ask('GET', '/debug/syncz');
  await ask('GET', '/api/explain', undefined, '/api/explain?url=http://reviews:9080/');
  await ask('GET', '/api/proxy-config/{client}', undefined, '/api/proxy-config/nobody');
  covered.add('GET /api/proxy-config/{client}');
  await ask('GET', '/api/sync/{client}', undefined, '/api/sync/nobody');
  covered.add('GET /api/sync/{client}');
  await ask('POST', '/api/workloads', { id: 'w', service: 'reviews', address: '127.0.0.1', port: 1234 });
  await ask('GET', '/api/workloads');
  await ask('GET', '/api/services');
  await ask('DELETE', '/api/workloads/{id}', undefined, '/api/workloads/w');
  const { body: token } = await ask('POST', '/api/join-tokens', { serviceAccount: 'reviews' });
  await ask('GET', '/api/join-tokens');
  await ask('DELETE', '/api/join-tokens/{hash}', undefined, `/api/join-tokens/${token.hash}`);
});

/** What the CLI prints for the same documents as a file. */
async function printed(args: readonly string[]): Promise<object> {
  let out = '';
  await main([...args], { out: (text) => (out += text), err: () => {}, color: false });
  return JSON.parse(out);
}

test('what the CLI tells of files, the API tells of what is sent', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-openapi-'));
  const file = join(folder, 'a.yaml');
  const sent = (vs: object) => {
    const content = `${service('reviews')}\n---\n${JSON.stringify(vs)}`;
    writeFileSync(file, content);
    return [{ file, content }];
  };
  try {
    const bad = sent(route('sent', 'nobody'));
    const found = await ask('POST', '/api/analyze', { files: bad });
    expect(found.body).toMatchObject([{ code: 'IST0101', level: 'Error', file }]);
    expect(found.body).toEqual(await printed(['analyze', file, '-o', 'json']));
    const valid = await ask('POST', '/api/validate', { files: bad, strict: true });
    expect(valid.body).toEqual(await printed(['validate', '-f', file, '--strict', '-o', 'json']));
    const files = sent(route('sent'));
    const compiled = await ask('POST', '/api/compile', { files, profile: 'sdk' });
    expect(compiled.body).toMatchObject(await printed(['compile', '-f', file, '--profile', 'sdk']));
    const asked = { url: 'http://reviews:9080/x', from: 'default/web' };
    const explained = await ask('POST', '/api/explain', { files, ...asked });
    expect(explained.body).toMatchObject(
      await printed(['explain', 'GET', asked.url, '-f', file, '--from', asked.from, '-o', 'json']),
    );
    const converted = await ask('POST', '/api/convert', { files, to: 'gateway-api' });
    const wanted = await printed(['convert', '-f', file, '--to', 'gateway-api', '-o', 'json']);
    expect(converted.body).toMatchObject({ documents: wanted, losses: [] });
    expect(await ask('POST', '/api/convert', { files: bad, to: 'ts' })).toMatchObject({ status: 400 });
    const old = {
      apiVersion: 'rbac.istio.io/v1alpha1',
      kind: 'ServiceRole',
      metadata: { name: 'reader', namespace: 'default' },
      spec: { rules: [{ services: ['*'], methods: ['GET'] }] },
    };
    const migrated = await ask('POST', '/api/migrate/rbac', { files: sent(old) });
    expect(migrated.body).toEqual({
      documents: await printed(['migrate', 'rbac', '-f', file, '-o', 'json']),
      losses: ['ServiceRole default/reader is bound to nobody'],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('with what is stored, only what is sent is replaced', async () => {
  const before = plane.status().revision;
  const objects = [route('a')];
  const strict = { objects, strict: true };
  const among = await ask('POST', '/api/validate', strict, '/api/validate?with=stored');
  expect(among.body).toEqual({ valid: true, documents: 1, violations: [] });
  const wrong = { objects: [route('a', 'nobody')] };
  const found = await ask('POST', '/api/analyze', wrong, '/api/analyze?with=stored');
  expect(found.body).toMatchObject([{ code: 'IST0101', file: 'objects[0]' }]);
  await workloadsOfAService();
  const teapot = { hosts: ['reviews'], http: [{ directResponse: { status: 418 } }] };
  const asked = { url: 'http://reviews:9080/x', objects: [{ ...route('a'), spec: teapot }] };
  const explained = await ask('POST', '/api/explain', asked, '/api/explain?with=stored');
  expect(explained.body).toMatchObject({ outcome: 'direct-response', response: { status: 418 } });
  expect((await ask('POST', '/api/explain', asked)).status).toBe(200);
  const envoy = { objects, profile: 'envoy' };
  await ask('POST', '/api/compile', envoy, '/api/compile?with=stored');
  const broken = [{ ...route('a'), spec: { hosts: 7 } }];
  expect(await ask('POST', '/api/compile', { ...envoy, objects: broken })).toMatchObject({ status: 422 });
  expect(await ask('POST', '/api/analyze', wrong, '/api/analyze?with=x')).toMatchObject({ status: 400 });
  expect(plane.status().revision).toBe(before);
});

/** Workloads that registered are a service with one port, and its subsets select them. */
async function workloadsOfAService(): Promise<void> {
  const [host, address] = ['books', '127.0.0.1'];
  const subsets = [
    { name: 'v1', labels: { version: 'v1' } },
    { name: 'v9', labels: { version: 'v9' } },
  ];
  const rule = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: host },
    spec: { host, subsets },
  };
  const objects = [{ ...route(host, host), spec: { ...route(host, host).spec, hosts: [host] } }, rule];
  for (const [id, port, version] of [['v1', 1234, 'v1'] as const, ['v2', 1235, 'v2'] as const])
    await ask('POST', '/api/workloads', { id, service: host, address, port, labels: { version } });
  const found = await ask('POST', '/api/analyze', { objects }, '/api/analyze?with=stored');
  expect(found.body).toMatchObject([{ code: 'IST0173', path: 'spec.subsets[1].labels' }]);
  for (const id of ['v1', 'v2'])
    await ask('DELETE', '/api/workloads/{id}', undefined, `/api/workloads/${id}`);
}

test('policies are asked about, too', async () => {
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'deny', namespace: 'default' },
    spec: { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/secret'] } }] }] },
  };
  const body = { objects: [policy], request: { authority: 'reviews', path: '/secret' } };
  expect((await ask('POST', '/api/authz/check', body)).body).toMatchObject({
    policies: [{ name: 'deny' }],
    decision: { verdict: 'denied' },
  });
  const { body: compiled } = await ask('POST', '/api/compile/rbac', { objects: [policy] });
  expect(compiled.http).toHaveLength(1);
});

test('every operation was answered', () => {
  // A stream has a test of its own.
  covered.add('GET /api/events');
  const missing = ROUTES.map(({ method, path }) => `${method} ${path}`).filter((one) => !covered.has(one));
  expect(missing).toEqual([]);
});
