import { expect, test } from 'vitest';
import { run } from './run.js';

const SHOP = ['-f', 'test/golden/control-plane/documents/shop.yaml'];

async function explain(...args: string[]) {
  const { code, out, err } = await run('explain', ...args, ...SHOP, '-o', 'json');
  return { code, err, ...JSON.parse(out === '' ? '{}' : out) };
}

test('a request is explained by the route that the SDK would take', async () => {
  const testers = await explain('GET', 'http://catalog:8000/items/1', '-H', 'x-tester: yes');
  expect(testers).toMatchObject({
    outcome: 'forwarded',
    route: { name: 'testers', index: 0 },
    cluster: 'outbound|8000|v2|catalog.default.svc.cluster.local',
    timeouts: { requestMs: 5000, perTryMs: 2000 },
    retries: { numRetries: 1 },
    policy: { loadBalancer: { kind: 'random' } },
  });
  expect(testers.filters[0].name).toContain('fault');
  expect(testers.documents.map(({ kind }: { kind: string }) => kind)).toEqual([
    'VirtualService',
    'DestinationRule',
  ]);
});

test('of weighted clusters the heaviest is shown, or that of a draw, with every share', async () => {
  const most = await explain('GET', 'http://catalog:8000/');
  expect(most.cluster).toMatch(/\|v1\|/);
  expect(most.clusters.map(({ share }: { share: number }) => share)).toEqual([90, 10]);
  const drawn = await explain('GET', 'http://catalog:8000/', '--draw', '0.95');
  expect(drawn.cluster).toMatch(/\|v[12]\|/);
});

test('what is answered without an endpoint is told, with its status', async () => {
  const health = await explain('GET', 'http://catalog:8000/health');
  expect(health).toMatchObject({
    code: 0,
    outcome: 'direct-response',
    response: { status: 200, body: 'fine' },
  });
  const elsewhere = await explain('GET', 'http://elsewhere.test/');
  expect(elsewhere).toMatchObject({ code: 0, outcome: 'passed-through', listener: null });
});

test('explain prints text, and refuses what is no request', async () => {
  const { out } = await run('explain', 'GET', 'http://catalog:8000/items', ...SHOP);
  expect(out).toMatch(/^GET http:\/\/catalog:8000\/items {3}from default\n {2}outcome {4}forwarded: /);
  const { code, err } = await run('explain', 'G ET', '://', ...SHOP);
  expect(code).toBe(2);
  expect(err).toMatch(/INMESH_OPTION_INVALID/);
});

test('a method alone is no URL', async () => {
  expect(await run('explain', 'GET', ...SHOP)).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringContaining('missing the URL'),
  });
});

test.each(['not a url', 'http://', ''])('what is no URL is refused: %j', async (url) => {
  expect(await run('explain', 'GET', url, ...SHOP)).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringContaining('Write it as GET http://reviews/ratings/42'),
  });
});
