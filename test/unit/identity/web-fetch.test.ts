import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createWebFetch } from '../../../src/identity/web-fetch.js';
import { systemClock } from '../../../src/runtime/clock.js';

const servers: Server[] = [];
const fetch = createWebFetch(systemClock);

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A TCP server that listens has an address.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('asking a web server', () => {
  test('gives status, text and how long it may be kept', async () => {
    const url = await serve((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += String(chunk);
      });
      request.on('end', () => {
        response.setHeader('cache-control', 'public, max-age=60');
        response.end(`${request.method} ${request.url} ${request.headers['x-a']} ${body}`);
      });
    });
    const asked = { url: `${url}/keys?a=b`, method: 'POST', headers: { 'x-a': '1' }, body: 'ü' } as const;
    expect(await fetch(asked)).toEqual({ status: 200, text: 'POST /keys?a=b 1 ü', maxAgeMs: 60_000 });
  });

  test('does not follow redirects', async () => {
    let hits = 0;
    const url = await serve((_, response) => {
      hits++;
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    expect((await fetch({ url })).status).toBe(302);
    expect(hits).toBe(1);
  });

  test('gives up on answers that are too long, too slow or cut', async () => {
    const long = await serve((_, response) => response.end('x'.repeat(2_000)));
    await expect(fetch({ url: long, maxBytes: 1_000 })).rejects.toThrow('more than 1000 bytes');
    const slow = await serve(() => {});
    await expect(fetch({ url: slow, timeoutMs: 20 })).rejects.toThrow('within 20 ms');
    const cut = await serve((_, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('half', () => response.destroy());
    });
    await expect(fetch({ url: cut })).rejects.toThrow();
  });

  test.each([
    'http://issuer.test/keys',
    'http://localhost.evil.test/keys',
    'http://127.0.0.1@evil.test/keys',
    'https://user:secret@issuer.test/keys',
    'file:///etc/passwd',
    'ftp://issuer.test/',
    'nothing',
  ])('%s is not asked', async (url) => {
    await expect(fetch({ url })).rejects.toThrow(TypeError);
  });

  test('what it may connect to is decided after names were resolved', async () => {
    const url = await serve((_, response) => response.end('secret'));
    const allowsAddress = (address: string) => !address.startsWith('127.') && address !== '::1';
    const byName = url.replace('127.0.0.1', 'localhost');
    await expect(fetch({ url, allowsAddress })).rejects.toThrow('may not be asked');
    await expect(fetch({ url: byName, allowsAddress })).rejects.toThrow('may be asked');
    expect((await fetch({ url: byName, allowsAddress: (address) => address === '127.0.0.1' })).text).toBe(
      'secret',
    );
  });
});
