import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EjectionEvent, Mesh } from '../../../src/index.js';
import { World } from './features-world.js';

/** A server in a thread of its own, so that it goes on while this one is blocked. `/slow` never answers. */
const SERVER = `
const { createServer } = require('node:http');
const { parentPort } = require('node:worker_threads');
const server = createServer((request, response) => {
  parentPort.postMessage('request');
  if (request.url !== '/slow') setTimeout(() => response.end('done'), 50);
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

let world: World;
let server: Worker;
let client: Mesh;
let events: EjectionEvent[];

beforeEach(async () => {
  server = new Worker(SERVER, { eval: true });
  const [port] = await once(server, 'message');
  world = await World.start(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: echo, namespace: default }
spec:
  hosts: [echo.example.com]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: echo, namespace: default }
spec:
  host: echo.example.com
  trafficPolicy:
    outlierDetection: { consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 100 }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: echo, namespace: default }
spec:
  hosts: [echo.example.com]
  http:
    - timeout: 300ms
      retries: { attempts: 0 }
      route: [{ destination: { host: echo.example.com } }]
`);
  events = [];
  client = await world.join({ observers: [{ ejected: (event) => events.push(event) }] });
});

afterEach(async () => {
  await world.close();
  await server.terminate();
});

describe('a blocked event loop of our own', () => {
  test('is not held against a peer whose answer lies unread', async () => {
    await (await client.fetch('http://echo.example.com/')).text();
    const answer = client.fetch('http://echo.example.com/');
    await once(server, 'message');
    block(800);
    const response = await answer;
    expect([response.status, await response.text()]).toEqual([200, 'done']);
    expect(events).toEqual([]);
  });

  test('is not held against a peer that the request reached late', async () => {
    const answer = client.fetch('http://echo.example.com/');
    block(800);
    const response = await answer;
    expect([response.status, await response.text()]).toEqual([200, 'done']);
    expect(events).toEqual([]);
  });

  test('excuses nobody who is slow all the same', async () => {
    const answer = client.fetch('http://echo.example.com/slow');
    block(400);
    const response = await answer;
    expect(response.status).toBe(504);
    expect(events).toMatchObject([{ action: 'eject', type: 'Consecutive5xx', enforced: true }]);
  });
});
