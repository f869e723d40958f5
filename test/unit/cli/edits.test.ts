import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { redacted } from '../../../src/cli/bug-report.js';
import { lineDiff } from '../../../src/cli/line-diff.js';
import { run } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'inmesh-edits-'));
const file = join(folder, 'mesh.yaml');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MESH = `# All of it.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews # the reviews
spec:
  hosts: [reviews]
  http:
    - match: [{ headers: { x-beta: { exact: "yes" } } }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    # everybody else
    - route: [{ destination: { host: reviews } }]
`;

test('shift edits the route without conditions, and declares the versions; comments stay', async () => {
  writeFileSync(file, MESH);
  const { code, out } = await run('shift', 'reviews', 'v1=90', 'v2=10%', '-f', file);
  expect(code).toBe(0);
  expect(out).toMatch(/kind: DestinationRule[\s\S]*name: v2[\s\S]*---[\s\S]*weight: 90/);
  const text = readFileSync(file, 'utf8');
  expect(text).toMatch(
    /# All of it\.[\s\S]*# the reviews[\s\S]*# everybody else[\s\S]*weight: 10[\s\S]*---\n[\s\S]*kind: DestinationRule/,
  );
  expect(text).toContain('subset: v3');
  const again = await run('shift', 'reviews', 'v2=100', '-f', file);
  expect(again.out).not.toContain('DestinationRule');
  expect(readFileSync(file, 'utf8')).not.toContain('weight: 90');
});

test('shares that do not come to 100 are refused', async () => {
  expect(await run('shift', 'reviews', 'v1=90', 'v2=20', '-f', file)).toMatchObject({ code: 2, out: '' });
  expect(await run('shift', 'reviews', 'v1', '-f', file)).toMatchObject({ code: 2, out: '' });
});

test('retry, timeout, fault and mtls write their fields, and a dry run only prints', async () => {
  writeFileSync(file, MESH);
  await run('retry', 'reviews', '3', '--on', '5xx', '-f', file);
  await run('timeout', 'reviews', '2s', '-f', file);
  await run('fault', 'reviews', '--abort', '503', '--percent', '10', '-f', file);
  await run('mtls', 'set', 'STRICT', '-n', 'shop', '-f', file);
  const text = readFileSync(file, 'utf8');
  expect(text).toMatch(/attempts: 3\n +retryOn: 5xx\n +timeout: 2s\n +fault:\n +abort:\n +httpStatus: 503/);
  expect(text).toMatch(/kind: PeerAuthentication[\s\S]*namespace: shop[\s\S]*mode: STRICT/);
  await run('fault', 'reviews', '--clear', '-f', file);
  expect(readFileSync(file, 'utf8')).not.toContain('fault:');
  const before = readFileSync(file, 'utf8');
  expect((await run('timeout', 'reviews', '9s', '-f', file, '--dry-run')).out).toContain('timeout: 9s');
  expect(readFileSync(file, 'utf8')).toBe(before);
  expect(await run('fault', 'reviews', '-f', file)).toMatchObject({ code: 2 });
  expect(await run('validate', '-f', file)).toMatchObject({ code: 0 });
});

test('a timeout of 0s takes the field away: a route without one has no limit', async () => {
  writeFileSync(file, MESH);
  await run('timeout', 'reviews', '2s', '-f', file);
  expect(await run('timeout', 'reviews', '0s', '-f', file)).toMatchObject({ code: 0 });
  expect(readFileSync(file, 'utf8')).not.toContain('timeout');
  expect(await run('validate', '-f', file)).toMatchObject({ code: 0 });
});

test('an object that has the name of the service and other hosts is not taken for its own', async () => {
  const edge = MESH.replace('hosts: [reviews]', 'hosts: [shop.example.com]');
  writeFileSync(file, edge);
  expect(await run('timeout', 'reviews', '2s', '-f', file)).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringContaining('VirtualService default/reviews is there, and is for other hosts'),
  });
  const rule =
    'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: reviews }\nspec: { host: other }\n';
  writeFileSync(file, rule);
  expect(await run('shift', 'reviews', 'v1=100', '-f', file)).toMatchObject({ code: 2, out: '' });
  expect(readFileSync(file, 'utf8')).toBe(rule);
});

test('where there is no route yet, one is made', async () => {
  const fresh = join(folder, 'fresh.yaml');
  const { out } = await run('timeout', 'ratings', '1s', '-n', 'shop', '-f', fresh, '-o', 'json');
  expect(JSON.parse(out)).toMatchObject({
    kind: 'VirtualService',
    metadata: { name: 'ratings', namespace: 'shop' },
    spec: { hosts: ['ratings'] },
  });
  expect(readFileSync(fresh, 'utf8')).toContain('kind: VirtualService');
});

test('objects in files are listed, exported and compared without a control plane', async () => {
  writeFileSync(file, MESH);
  expect(await run('get', 'vs', '-f', file, '-o', 'name')).toMatchObject({
    code: 0,
    out: 'virtualservice/reviews\n',
  });
  expect((await run('export', '-f', file)).out).toContain('kind: VirtualService');
  const other = join(folder, 'other.yaml');
  writeFileSync(other, MESH.replace('name: reviews', 'name: others'));
  expect(await run('diff', '-f', file, '--against', other, '-o', 'name')).toMatchObject({
    code: 1,
    out: 'virtualservice/reviews\nvirtualservice/others\n',
  });
  expect(await run('diff', '-f', file, '--against', file)).toMatchObject({ code: 0, out: '' });
});

test('a workload entry is printed', async () => {
  const { out } = await run('workload', 'entry', 'db', '--address', '10.0.0.5', '--port', '5432');
  expect(out).toContain('kind: WorkloadEntry\nmetadata:\n  name: db\nspec:\n  address: 10.0.0.5\n');
});

test('what is secret is not in a report, wherever it stands', () => {
  const report = redacted({
    kind: 'Secret',
    data: { 'tls.key': 'AAAA' },
    env: { INMESH_JOIN_TOKEN: 'abc', INMESH_JOIN_TOKEN_FILE: '/run/token' },
    text: 'inmesh-join-abcDEF and eyJhbGciOiJ.eyJzdWIi.c2ln with Bearer abc.def',
    pem: '-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----',
    headers: [['authorization', 'Basic eA==']],
    url: 'https://user:word@example.com/',
  });
  const text = JSON.stringify(report);
  for (const secret of ['AAAA', 'abc', 'MHc', 'eyJ', 'eA==', 'word@']) expect(text).not.toContain(secret);
  expect(text).toContain('/run/token');
});

test('differences of lines are shown with what is near them', () => {
  expect(lineDiff('a\nb\nc\nd\ne\nf\n', 'a\nb\nc\nd\nE\nf\n', 1)).toBe('  ...\n  d\n- e\n+ E\n  f\n');
  expect(lineDiff('', 'a\n')).toBe('+ a\n');
});
