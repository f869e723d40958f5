import { afterEach, describe, expect, test } from 'vitest';
import { answerOf, istio, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

describe('destinations as the application named them', () => {
  test('a ServiceEntry without resolution is dialled as it was asked for, under the rules of the mesh', async () => {
    world = await World.start('');
    const { port } = await world.serveOutside((request, response) =>
      response.end(`${request.headers.host} ${request.headers['x-mesh']}`),
    );
    world.configure(
      istio(
        'ServiceEntry',
        'anywhere',
        `hosts: [anywhere.test]\naddresses: ["127.0.0.1"]\nports: [{ number: ${port}, name: http, protocol: HTTP }]`,
      ) +
        istio(
          'VirtualService',
          'anywhere',
          `hosts: [anywhere.test]
http:
  - match: [{ uri: { prefix: /fault } }]
    fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }
    route: [{ destination: { host: anywhere.test } }]
  - headers: { request: { set: { x-mesh: "yes" } } }
    rewrite: { authority: elsewhere.example }
    route: [{ destination: { host: anywhere.test } }]`,
        ),
    );
    const client = await world.join();
    expect(await answerOf(client.fetch(`http://127.0.0.1:${port}/`))).toEqual([200, 'elsewhere.example yes']);
    expect(await answerOf(client.fetch(`http://127.0.0.1:${port}/fault`))).toMatchObject([
      418,
      expect.any(String),
    ]);
  });

  test('with REGISTRY_ONLY unknown hosts are answered with 502, known ones and this machine are not', async () => {
    world = await World.start('', { outboundTrafficPolicy: 'REGISTRY_ONLY' });
    const { port } = await world.serveOutside((_request, response) => response.end('here'));
    const client = await world.join();
    expect(await answerOf(client.fetch('http://unknown.example/'))).toEqual([502, '']);
    expect(await answerOf(client.fetch('https://unknown.example:8443/'))).toEqual([502, '']);
    expect(await answerOf(client.fetch(`http://127.0.0.1:${port}/`))).toEqual([200, 'here']);
  });
});
