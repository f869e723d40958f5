import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { type Dispatcher, fetch, interceptors, request, stream } from 'undici6';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import {
  cluster,
  createStaticMesh,
  endpoint,
  forward,
  host,
  type StaticMesh,
  snapshotOf,
} from '../support/static-mesh.js';

// undici 6 speaks the first generation of handlers only, as does the fetch of Node 20 and 22.

let server: Server;
let mesh: StaticMesh;
let dispatcher: Dispatcher;

beforeAll(async () => {
  server = createServer((incoming, response) => {
    if (incoming.url === '/broken') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setImmediate(() => incoming.socket.destroy());
    } else if (incoming.url === '/never') response.flushHeaders();
    else if (incoming.url === '/redirect') response.writeHead(302, { location: '/echo' }).end();
    else {
      response.setHeader('x-host', incoming.headers.host ?? '');
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      incoming.pipe(response);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  mesh = createStaticMesh(
    snapshotOf(
      [host('echo:80', [forward('echo')]), host('gone:80', [forward('gone')])],
      [cluster('echo', [endpoint(port)]), cluster('gone', [endpoint(1)])],
    ),
  );
  // The dispatchers of both versions have the same methods; their types differ in the handlers.
  dispatcher = new MeshDispatcher(mesh) as unknown as Dispatcher;
});

afterAll(async () => {
  await dispatcher.close();
  await mesh.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('undici 6 through the mesh', () => {
  test('request() gets status, headers and body', async () => {
    const { statusCode, headers, body } = await request('http://echo/', {
      dispatcher,
      method: 'POST',
      body: 'hello',
    });
    expect([statusCode, headers['x-host'], headers['set-cookie']]).toEqual([200, 'echo', ['a=1', 'b=2']]);
    expect(await body.text()).toBe('hello');
  });

  test('streams go both ways', async () => {
    const pieces: Buffer[] = [];
    const chunk = Buffer.alloc(100_000, 'x');
    await stream(
      'http://echo/',
      { dispatcher, method: 'POST', body: Readable.from([chunk, chunk, chunk]) },
      () => {
        return new Writable({
          write(piece: Buffer, _encoding, done) {
            pieces.push(piece);
            done();
          },
        });
      },
    );
    expect(Buffer.concat(pieces).length).toBe(300_000);
  });

  test('fetch() follows redirects and reads cookies', async () => {
    const response = await fetch('http://echo/redirect', { dispatcher });
    expect([response.status, response.redirected, response.url]).toEqual([200, true, 'http://echo/echo']);
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  });

  test('its interceptors compose over the mesh', async () => {
    const { statusCode, body } = await request('http://echo/redirect', {
      dispatcher: dispatcher.compose(interceptors.redirect({ maxRedirections: 1 })),
    });
    await body.dump();
    expect(statusCode).toBe(200);
  });

  test('a body that breaks off is an error of the body', async () => {
    const { body } = await request('http://echo/broken', { dispatcher });
    await expect(body.text()).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  });

  test('an abort ends the request', async () => {
    const controller = new AbortController();
    const { body } = await request('http://echo/never', { dispatcher, signal: controller.signal });
    const read = body.text();
    controller.abort();
    await expect(read).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('a host without endpoints that answer is refused as a connection is', async () => {
    await expect(request('http://gone/', { dispatcher })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const failure = await fetch('http://gone/', { dispatcher }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TypeError);
    expect((failure as Error).cause).toMatchObject({ code: 'ECONNREFUSED' });
  });
});
