import { once } from 'node:events';
import axios from 'axios';
import express from 'express';
import { got } from 'got';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { MeshAgent } from '../../../src/http.js';
import type { Mesh } from '../../../src/index.js';
import { peerOf } from '../../../src/server.js';
import { istio, World } from './features-world.js';
import { eventually } from './support.js';

const CLIENT = 'spiffe://cluster.local/ns/default/sa/client';

let world: World;
let client: Mesh;
let agent: MeshAgent;
const lines: string[] = [];

beforeAll(async () => {
  world = await World.start(
    istio('PeerAuthentication', 'strict', 'mtls: { mode: STRICT }') +
      istio(
        'VirtualService',
        'shop',
        `hosts: [shop]
http:
- match: [{ uri: { prefix: /old } }]
  rewrite: { uri: /new }
  route: [{ destination: { host: shop } }]
- route: [{ destination: { host: shop } }]`,
      ),
  );
  const app = express();
  app.use(express.json());
  app.get('/whoami', (request, response) => {
    response.json({ peer: peerOf(request)?.spiffeId, host: request.headers.host });
  });
  app.get('/new', (_, response) => void response.send('new'));
  app.post('/echo', (request, response) => void response.json(request.body));
  const shop = await world.serve(
    {
      service: 'shop',
      accessLog: {
        to: (line) => lines.push(line),
        format: '%REQ(:PATH)% %RESPONSE_CODE% %DOWNSTREAM_PEER_URI_SAN%',
      },
    },
    app,
  );
  const sockets = new WebSocketServer({ server: shop.server, path: '/chat' });
  sockets.on('connection', (socket, request) => {
    socket.send(peerOf(request)?.spiffeId ?? 'nobody');
    socket.on('message', (data) => socket.send(data));
  });
  world.onClose(async () => {
    for (const socket of sockets.clients) socket.terminate();
  });
  client = await world.join({ serviceAccount: 'client' });
  agent = new MeshAgent(client);
  await eventually('the first answer', async () => (await client.fetch('http://shop/new')).status === 200);
});

afterAll(async () => {
  agent.destroy();
  await world.close();
});

describe('clients of node:http and an express application, both of the mesh', () => {
  test('axios is routed, and the application sees who calls', async () => {
    const { data } = await axios.get('http://shop/whoami', { httpAgent: agent, proxy: false });
    expect(data).toEqual({ peer: CLIENT, host: 'shop' });
    const moved = await axios.get('http://shop/old', { httpAgent: agent, proxy: false });
    expect(moved.data).toBe('new');
  });

  test('got sends JSON', async () => {
    const body = await got.post('http://shop/echo', { agent: { http: agent }, json: { a: [1] } }).json();
    expect(body).toEqual({ a: [1] });
  });
});

describe('WebSocket through the mesh', () => {
  test('works with mTLS; metrics and access log show 101', async () => {
    const socket = new WebSocket('ws://shop/chat', { agent });
    const [hello] = (await once(socket, 'message')) as [Buffer];
    expect(hello.toString()).toBe(CLIENT);
    socket.send('again');
    expect(String((await once(socket, 'message'))[0])).toBe('again');
    socket.close();
    await once(socket, 'close');
    await eventually('the metric of 101', async () => client.metrics().includes('response_code="101"'));
    await eventually('the log line of 101', async () => lines.includes(`/chat 101 ${CLIENT}\n`));
  });

  test('what the application refuses is logged as that', async () => {
    const socket = new WebSocket('ws://shop/nowhere', { agent });
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(400);
    await eventually('the log line of the refusal', async () =>
      lines.some((line) => line.startsWith('/nowhere 400')),
    );
  });

  test('closing the mesh cuts what is still open', async () => {
    const guest = await world.join({ service: 'guest' });
    const own = new MeshAgent(guest);
    const socket = new WebSocket('ws://shop/chat', { agent: own });
    await once(socket, 'open');
    await guest.close();
    await once(socket, 'close');
    own.destroy();
  });
});
