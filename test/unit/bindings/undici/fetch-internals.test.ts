import { createRequire } from 'node:module';
import { MockAgent } from 'undici';
import { afterEach, expect, test } from 'vitest';
import { createDispatchingFetch } from '../../../../src/bindings/undici/fetch/create-fetch.js';
import { loadFetchInternals } from '../../../../src/bindings/undici/fetch/internals.js';

const requireModule = createRequire(import.meta.url);
const agents: MockAgent[] = [];

function mockAgent(): MockAgent {
  const agent = new MockAgent();
  agent.disableNetConnect();
  agent
    .get('http://a.test')
    .intercept({ path: '/', method: 'POST', body: 'question' })
    .reply(200, 'answer', { headers: { 'x-a': 'b' } });
  agents.push(agent);
  return agent;
}

afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.close();
});

test('the installed undici has the internals that make fetch cheap', () => {
  expect(loadFetchInternals()).not.toBeNull();
});

const MODULES = ['headers', 'request', 'response', 'util'].map((name) => `lib/web/fetch/${name}.js`);

test.each(MODULES)('without %s they are not used', (missing) => {
  const load = (path: string): unknown => {
    if (path === missing) throw new Error('Cannot find module');
    return requireModule(`undici/${path}`);
  };
  expect(loadFetchInternals(load)).toBeNull();
});

test.each([
  ['getRequestState', () => ({})],
  ['getRequestDispatcher', () => undefined],
  ['fromInnerRequest', () => ({})],
  ['makeResponse', () => ({})],
  ['fromInnerResponse', () => new Response()],
  ['createInflate', undefined],
  ['HeadersList', Map],
])('when %s is not what it was they are not used', (name, changed) => {
  const load = (path: string): unknown => {
    const found = requireModule(`undici/${path}`) as Record<string, unknown>;
    return name in found ? { ...found, [name]: changed } : found;
  };
  expect(loadFetchInternals(load)).toBeNull();
});

test.each([
  ['with', () => loadFetchInternals()],
  ['without', () => null],
])('fetch works %s them', async (_name, internals) => {
  const own = mockAgent();
  const fetch = createDispatchingFetch(own, internals());
  const response = await fetch('http://a.test/', { method: 'POST', body: 'question' });
  expect([response.status, response.headers.get('x-a'), await response.text()]).toEqual([200, 'b', 'answer']);
});

test.each([
  ['with', () => loadFetchInternals()],
  ['without', () => null],
])('a dispatcher of the call wins, %s them', async (_name, internals) => {
  const fetch = createDispatchingFetch(mockAgent(), internals());
  const other = new MockAgent();
  other.disableNetConnect();
  other.get('http://a.test').intercept({ path: '/' }).reply(201);
  agents.push(other);
  const init = { dispatcher: other } as unknown as RequestInit;
  expect((await fetch('http://a.test/', init)).status).toBe(201);
});
