import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createDispatchingFetch } from '../../../src/bindings/undici/fetch/create-fetch.js';
import { explain } from '../../../src/service/explanation.js';
import { combineObservers } from '../../../src/service/observer.js';
import { CHANNELS, channelObserver } from '../../../src/telemetry/channels.js';
import {
  cluster,
  createStaticMesh,
  endpoint,
  forward,
  host,
  type StaticMesh,
  snapshotOf,
} from '../support/static-mesh.js';

let server: Server;
let mesh: StaticMesh;
let dispatcher: MeshDispatcher;
let port: number;

/** Nobody listens there. */
const CLOSED = 1;
const RETRY = {
  retryOn: ['connect-failure' as const],
  numRetries: 1,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: 1,
  maxIntervalMs: 1,
  avoidPreviousHosts: true,
  hostSelectionAttempts: 3,
};

beforeAll(async () => {
  server = createServer((_incoming, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  const named = { ...forward('half-dead', { retryPolicy: RETRY }), name: 'by-default' };
  mesh = createStaticMesh(
    snapshotOf(
      [host('half:80', [named]), host('dead:80', [forward('dead')])],
      [cluster('half-dead', [endpoint(CLOSED), endpoint(port)]), cluster('dead', [endpoint(CLOSED)])],
    ),
    combineObservers([channelObserver()]),
  );
  dispatcher = new MeshDispatcher(mesh);
});

afterAll(async () => {
  await dispatcher.close();
  await mesh.close();
  server.close();
});

describe('an explanation', () => {
  test.each([
    ['Transfer-Encoding', 'chunked', 'UND_ERR_INVALID_ARG'],
    ['Expect', '100-continue', 'UND_ERR_NOT_SUPPORTED'],
  ])(
    'of a request that can’t be sent for its %s: one attempt, nobody to blame',
    async (name, value, code) => {
      const fetch = createDispatchingFetch(dispatcher);
      const error: unknown = await fetch('http://half/', { headers: { [name]: value } }).catch(
        (one: unknown) => one,
      );
      expect(error).toMatchObject({ message: 'fetch failed', cause: { code } });
      expect(explain(error)).toMatchObject({ attempts: [{ number: 1 }], flags: [] });
    },
  );

  test('of a response of fetch, which shows nothing of it', async () => {
    const fetch = createDispatchingFetch(dispatcher);
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch('http://half/path', { method });
      expect(explain(response)).toMatchObject({ method, path: '/path', cluster: 'half-dead' });
      expect(Reflect.ownKeys(response)).toEqual([]);
      await response.text();
    }
    const error: unknown = await fetch('http://dead/').catch((one: unknown) => one);
    expect(explain(error)?.cluster).toBe('dead');
  });

  test('of a response tells route, cluster and every attempt', async () => {
    const explanations = [];
    for (let i = 0; i < 2; i++) {
      const response = await request('http://half/', { dispatcher });
      expect(await response.body.text()).toBe('hello');
      explanations.push(explain(response));
    }
    const retried = explanations.find((one) => one?.attempts.length === 2);
    expect(retried).toMatchObject({
      method: 'GET',
      authority: 'half',
      virtualHost: 'half:80',
      route: 'by-default',
      cluster: 'half-dead',
      attempts: [
        { number: 1, host: `127.0.0.1:${CLOSED}`, chosenBy: 'round-robin', status: undefined },
        { number: 2, host: `127.0.0.1:${port}`, chosenBy: 'round-robin', status: 200, error: undefined },
      ],
      details: 'via_upstream',
    });
    expect(retried?.attempts[0]?.error).toMatch(/^connect: connect ECONNREFUSED/);
    expect(String(retried)).toMatch(/attempt 2: 127\.0\.0\.1:\d+ \(round-robin\) after .* 200, /);
  });

  test('comes with the error that the caller gets', async () => {
    const error: unknown = await request('http://dead/', { dispatcher }).catch((cause: unknown) => cause);
    expect(explain(error)).toMatchObject({ cluster: 'dead', flags: ['UF', 'URX'] });
    expect(explain(new TypeError('fetch failed', { cause: error }))?.cluster).toBe('dead');
  });

  test('does not show when the response is printed', async () => {
    const response = await request('http://half/', { dispatcher });
    await response.body.dump();
    expect(inspect(response, { depth: 4 })).not.toContain('half-dead');
  });

  test('is not there for what the mesh did not carry', async () => {
    const response = await request(`http://127.0.0.1:${port}/`);
    await response.body.dump();
    expect(explain(response)).toBeUndefined();
    expect(explain(new Error('other'))).toBeUndefined();
    expect(explain(null)).toBeUndefined();
  });
});

describe('diagnostics channels', () => {
  test('tell each attempt and the end of the exchange', async () => {
    const heard: string[] = [];
    const listener = (_message: unknown, name: string | symbol) => heard.push(String(name));
    for (const name of Object.values(CHANNELS)) subscribe(name, listener);
    try {
      const response = await request('http://half/', { dispatcher });
      await response.body.text();
    } finally {
      for (const name of Object.values(CHANNELS)) unsubscribe(name, listener);
    }
    expect(heard.at(-1)).toBe('inmesh:exchange');
    expect(heard.slice(0, -1).every((name) => name === 'inmesh:attempt')).toBe(true);
    expect(heard.length).toBeGreaterThanOrEqual(2);
  });
});
