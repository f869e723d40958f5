import { afterEach, describe, expect, test } from 'vitest';
import type { Observer } from '../../../src/index.js';
import { answerOf, istio, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

const policy = (http: string) =>
  istio('DestinationRule', 'echo', `host: echo\ntrafficPolicy: { connectionPool: { http: ${http} } }`);

/** A server of the mesh, and by which protocol each of its requests came. */
async function serveEcho(): Promise<string[]> {
  const protocols: string[] = [];
  const observer: Observer = {
    exchange: ({ context }) => {
      if (context.direction === 'inbound')
        protocols.push(`${context.protocol} ${context.connection?.tls?.alpn}`);
    },
  };
  await world.serve({ service: 'echo', observers: [observer] }, (request, response) => {
    response.end(`${request.method} ${request.url}`);
  });
  return protocols;
}

describe('h2UpgradePolicy', () => {
  test('UPGRADE: members speak HTTP/2 with each other, by mTLS', async () => {
    world = await World.start(policy('{ h2UpgradePolicy: UPGRADE }'));
    const protocols = await serveEcho();
    const client = await world.join();
    const answers = await Promise.all([1, 2, 3].map((i) => answerOf(client.fetch(`http://echo/${i}`))));
    expect(answers).toEqual([1, 2, 3].map((i) => [200, `GET /${i}`]));
    await expect.poll(() => protocols).toEqual(Array(3).fill('HTTP/2 h2'));
  });

  test('UPGRADE without mTLS: HTTP/2 by prior knowledge', async () => {
    world = await World.start(
      policy('{ h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 1 }') +
        istio('PeerAuthentication', 'default', 'mtls: { mode: DISABLE }', 'istio-system'),
    );
    const protocols = await serveEcho();
    const client = await world.join();
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'GET /']);
    await expect.poll(() => protocols).toEqual(['HTTP/2 undefined']);
  });

  test('turned on and off while requests run: none fails', async () => {
    world = await World.start('');
    const protocols = await serveEcho();
    const client = await world.join();
    for (const http of ['{ h2UpgradePolicy: UPGRADE }', '{ h2UpgradePolicy: DO_NOT_UPGRADE }']) {
      expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'GET /']);
      world.configure(policy(http));
      const wanted = http.includes('NOT') ? 'HTTP/1.1 http/1.1' : 'HTTP/2 h2';
      await expect
        .poll(async () => {
          expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'GET /']);
          return protocols.at(-1);
        })
        .toBe(wanted);
    }
  });
});

test('useClientProtocol: clients of undici speak HTTP/1.1', async () => {
  world = await World.start(policy('{ useClientProtocol: true }'));
  const protocols = await serveEcho();
  const client = await world.join();
  expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'GET /']);
  await expect.poll(() => protocols).toEqual(['HTTP/1.1 http/1.1']);
});
