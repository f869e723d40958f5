import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ControlPlane, createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { run } from '../../unit/cli/run.js';
import { service } from '../../unit/control-plane/compile/mesh.js';

let plane: ControlPlane;
beforeAll(async () => {
  plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [createMemorySource(service('reviews'), 'mesh.yaml')],
  });
});
afterAll(() => plane.close());

/** The parts of answers that tests look at. */
interface Read {
  readonly revision: number;
  readonly entries: readonly object[];
  readonly changes: readonly object[];
  readonly items: readonly { readonly kind: string }[];
  readonly requests: readonly object[];
  readonly openapi: string;
  readonly paths: Readonly<Record<string, { readonly get?: object }>>;
  readonly spec: { readonly http: readonly { readonly timeout: string }[] };
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`http://${plane.addresses.http}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return {
    status: response.status,
    etag: response.headers.get('etag'),
    body: (await response.json()) as Read,
  };
}

const route = (name: string, timeout: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name },
  spec: { hosts: ['reviews'], http: [{ timeout, route: [{ destination: { host: 'reviews' } }] }] },
});
const VS = '/api/resources/vs/default/reviews';

/** The events of the stream from a revision on, until there are so many. */
function events(lastEventId: string, count: number, query = ''): Promise<string[]> {
  const [hostname, port] = plane.addresses.http.split(':');
  return new Promise((resolve, reject) => {
    const headers = { 'last-event-id': lastEventId };
    const request = httpGet({ hostname, port, path: `/api/events${query}`, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        const found = text.split('\n\n').filter((one) => one.startsWith('event:'));
        if (found.length < count) return;
        request.destroy();
        resolve(found);
      });
    });
    request.on('error', reject);
  });
}

test('an object is created, read, replaced by its version, and deleted', async () => {
  expect(await call('PUT', VS, route('reviews', '1s'))).toMatchObject({
    status: 200,
    body: { revision: 2, changes: [{ result: 'created', resourceVersion: '2' }] },
  });
  const read = await call('GET', VS);
  expect(read).toMatchObject({ status: 200, etag: '"2"', body: { spec: { http: [{ timeout: '1s' }] } } });
  expect(await call('PUT', VS, route('reviews', '2s'), { 'if-match': '"2"' })).toMatchObject({ status: 200 });
  expect(await call('PUT', VS, route('reviews', '3s'), { 'if-match': '"2"' })).toMatchObject({
    status: 409,
    body: { error: { code: 'INMESH_CONFLICT' } },
  });
  expect(await call('PUT', VS, route('reviews', 'soon'))).toMatchObject({
    status: 422,
    body: { violations: [{ path: 'spec.http[0].timeout', resource: 'VirtualService default/reviews' }] },
  });
  expect(await call('DELETE', VS)).toMatchObject({ status: 200, body: { changes: [{ result: 'deleted' }] } });
  expect(await call('DELETE', VS)).toMatchObject({ status: 404 });
  expect(await call('GET', VS)).toMatchObject({ status: 404 });
});

test('what is listed can be narrowed, and stands with its source', async () => {
  await call('POST', '/api/batches', { changes: [{ op: 'apply', object: route('listed', '1s') }] });
  const all = await call('GET', '/api/resources');
  expect(all.body.items.map(({ kind }) => kind)).toEqual(['VirtualService', 'Service']);
  const services = await call('GET', '/api/resources?kind=svc&namespace=default');
  expect(services.body.items).toMatchObject([
    { kind: 'Service', metadata: { name: 'reviews', annotations: { 'inmesh.dev/source': 'mesh.yaml:2' } } },
  ]);
  expect(await call('GET', '/api/resources?kind=nothing')).toMatchObject({ status: 400 });
  await call('DELETE', '/api/resources/vs/default/listed');
});

test('a dry run tells what would change for clients and for requests', async () => {
  const answer = await call('POST', '/api/dry-run', {
    changes: [{ op: 'apply', object: route('reviews', '4s') }],
    requests: [{ url: 'http://reviews:9080/' }, { url: 'http://elsewhere.test/' }],
  });
  expect(answer).toMatchObject({
    status: 200,
    body: {
      changes: [{ result: 'created' }],
      profiles: [
        {
          profile: 'sdk',
          types: [{ type: 'routes', changed: ['outbound|9080||reviews.default.svc.cluster.local'] }],
        },
        {},
        {},
      ],
      requests: [{ before: { timeouts: { requestMs: 0 } }, after: { timeouts: { requestMs: 4000 } } }],
    },
  });
  expect(answer.body.requests).toHaveLength(1);
  expect(await call('GET', VS)).toMatchObject({ status: 404 });
});

test('history, differences and the way back', async () => {
  const { body: first } = await call('PUT', `${VS}?message=first`, route('reviews', '1s'));
  const { body: second } = await call('PUT', VS, route('reviews', '9s'));
  const { body: list } = await call('GET', '/api/history?limit=2');
  expect(list.entries).toMatchObject([
    { revision: second.revision, author: 'loopback', changes: [{ op: 'configured', name: 'reviews' }] },
    { revision: first.revision, message: 'first', changes: [{ op: 'created' }] },
  ]);
  const { body: diff } = await call('GET', `/api/diff?from=${first.revision}`);
  expect(diff.changes).toMatchObject([
    { before: { spec: { http: [{ timeout: '1s' }] } }, after: { spec: { http: [{ timeout: '9s' }] } } },
  ]);
  expect(await call('POST', '/api/rollback', { to: first.revision })).toMatchObject({
    status: 200,
    body: { changes: [{ result: 'configured' }], left: [] },
  });
  expect((await call('GET', VS)).body.spec.http[0]?.timeout).toBe('1s');
  expect(await call('POST', '/api/rollback', { to: 999 })).toMatchObject({ status: 400 });
  for (const query of ['from=1&to=999', 'from=999&to=1', 'from=-1&to=1'])
    expect(await call('GET', `/api/diff?${query}`)).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('there was no revision') } },
    });
});

test('what was read is written as it was: nothing that the control plane says of it is kept', async () => {
  await call('PUT', VS, route('reviews', '3s'));
  const { body: read } = await call('GET', VS);
  expect(await call('PUT', VS, read)).toMatchObject({
    status: 200,
    body: { changes: [{ result: 'unchanged' }] },
  });
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-read-'));
  try {
    const file = join(folder, 'read.json');
    writeFileSync(file, JSON.stringify(read));
    expect(await inmesh('diff', '-f', file)).toMatchObject({ code: 0, out: '' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('changes come as events, from the revision on that was seen last', async () => {
  const { body } = await call('GET', '/api/history?limit=1');
  const seen = body.revision - 1;
  const [missed] = await events(String(seen), 1);
  expect(missed).toMatch(new RegExp(`^event: config\\nid: ${body.revision}\\n`));
  const coming = events(String(body.revision), 1);
  await call('PUT', VS, route('reviews', `${body.revision}s`));
  expect((await coming)[0]).toMatch(new RegExp(`^event: config\\nid: ${body.revision + 1}\\n`));
  expect((await events('100000', 1))[0]).toMatch(/^event: reset\n/);
});

test('events of one kind, or one namespace, are those of its revisions alone', async () => {
  const { body } = await call('GET', '/api/history?limit=1');
  const seen = String(body.revision);
  await call('PUT', VS, route('reviews', '55s'));
  const rule = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'watched' },
    spec: { host: 'reviews' },
  };
  const both = { changes: [rule, route('watched', '1s')].map((object) => ({ op: 'apply', object })) };
  expect(await call('POST', '/api/batches', both)).toMatchObject({ status: 200 });
  const [rules] = await events(seen, 1, '?kind=dr');
  expect(rules).toContain(`id: ${body.revision + 2}\n`);
  expect(JSON.parse(rules?.split('data: ')[1] ?? '')).toMatchObject({
    changeCount: 1,
    changes: [{ op: 'created', kind: 'DestinationRule', name: 'watched' }],
  });
  expect(await events(seen, 2, '?namespace=default')).toHaveLength(2);
  expect(await call('GET', '/api/events?kind=nothing')).toMatchObject({ status: 400 });
});

test('a request is explained by what is in force', async () => {
  const query = new URLSearchParams({
    url: 'http://reviews.default:9080/',
    from: 'shop/web',
    header: 'x-a: b',
  });
  expect(await call('GET', `/api/explain?${query}`)).toMatchObject({
    status: 200,
    body: {
      outcome: 'forwarded',
      from: { namespace: 'shop' },
      cluster: 'outbound|9080||reviews.default.svc.cluster.local',
    },
  });
  expect(await call('GET', '/api/explain')).toMatchObject({ status: 400 });
});

const inmesh = (...args: string[]) => run(...args, '--control-plane', plane.addresses.http);

test('the command line applies, shows, compares and goes back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-cli-'));
  const file = join(folder, 'ratings.yaml');
  const text = (timeout: string) =>
    JSON.stringify({
      ...route('ratings', timeout),
      spec: { ...route('ratings', timeout).spec, hosts: ['ratings'] },
    });
  try {
    writeFileSync(file, text('1s'));
    expect(await inmesh('diff', '-f', file)).toMatchObject({
      code: 1,
      out: expect.stringContaining('created VirtualService default/ratings'),
    });
    expect(await inmesh('apply', '-f', file, '--dry-run')).toMatchObject({
      code: 0,
      out: 'virtualservice/ratings created (server dry run)\n',
    });
    expect(await inmesh('apply', '-f', file, '-m', 'first')).toMatchObject({
      code: 0,
      out: 'virtualservice/ratings created\n',
    });
    expect(await inmesh('diff', '-f', file)).toMatchObject({ code: 0, out: '' });
    writeFileSync(file, text('2s'));
    expect((await inmesh('diff', '-f', file, '--resources')).out).toMatch(
      /- +timeout: 1s\n\+ +timeout: 2s\n/,
    );
    expect(await inmesh('apply', '-f', file, '-o', 'name')).toMatchObject({
      code: 0,
      out: 'virtualservice/ratings\n',
    });
    writeFileSync(file, text('soon'));
    expect(await inmesh('apply', '-f', file)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/ratings\.yaml:\d+:\d+ error INMESH_\w+ [\s\S]*\| +\^/),
    });
    expect((await inmesh('get', 'vs')).out).toMatch(/^NAMESPACE +KIND +NAME +HOSTS +REVISION\n/);
    expect(await inmesh('get', 'vs/ratings', '-o', 'name')).toMatchObject({
      code: 0,
      out: 'virtualservice/ratings\n',
    });
    expect(await inmesh('get', 'vs/nothing')).toMatchObject({ code: 1, out: '' });
    expect(await inmesh('get', 'things')).toMatchObject({ code: 2 });
    expect((await inmesh('describe', 'svc', 'reviews')).out).toContain(
      'named by   VirtualService default/ratings',
    );
    const entries = JSON.parse((await inmesh('history', '-o', 'json')).out);
    expect(entries[1]).toMatchObject({ message: 'first', source: 'store' });
    expect(await inmesh('rollback', String(entries[1].revision))).toMatchObject({
      code: 0,
      out: 'virtualservice/ratings configured\n',
    });
    expect((await inmesh('get', 'vs', 'ratings', '-o', 'yaml')).out).toContain('timeout: 1s');
    expect((await inmesh('export')).out).not.toContain('resourceVersion');
    expect(await inmesh('delete', 'vs/ratings')).toMatchObject({
      code: 0,
      out: 'virtualservice/ratings deleted\n',
    });
    // Several at once are one change, of which all or nothing takes effect.
    expect(await inmesh('delete', 'svc', 'reviews', 'nothing')).toMatchObject({ code: 1, out: '' });
    expect(await inmesh('get', 'svc', 'reviews', '-o', 'name')).toMatchObject({ code: 0 });
    expect(await inmesh('confirm')).toMatchObject({ code: 1 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the command line tells how things stand', async () => {
  expect(await inmesh('status')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^CLIENT +SERVICE +VERSION +STATE +REVISION +CDS +LDS +EDS +RDS +AGE\n$/),
    err: expect.stringMatching(
      /^control plane \S+: revision \d+, 0 workloads; writes its store since \d{4}-\S+Z\n$/,
    ),
  });
  expect(await inmesh('version', '-o', 'jsonpath={.client} {.controlPlane}')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^(\d+\.\d+\.\d+\S*) \1$/),
    err: '',
  });
  expect(await inmesh('wait', '--applied')).toMatchObject({
    code: 0,
    out: expect.stringContaining('is applied everywhere'),
  });
  expect((await inmesh('check')).out).toContain('√ inmesh');
  expect(await inmesh('proxy-config', 'clusters', 'nobody')).toMatchObject({ code: 2 });
  expect((await inmesh('explain', 'GET', 'http://reviews/')).out).toContain('forwarded: route');
});
