import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';
import { type MetricsEndpoint, serveMetrics } from '../../src/bindings/http/metrics-server.js';
import { createMesh } from '../../src/index.js';
import { silentLogger } from '../../src/runtime/log.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly text: string;
}

function ask(
  port: number,
  path: string,
  { method = 'GET', host = `localhost:${port}` } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    httpRequest({ port, path, method, headers: { host }, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode, type: response.headers['content-type'], text }),
      );
    })
      .on('error', reject)
      .end();
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('the metrics endpoint', () => {
  let isReady: boolean;
  const start = async (host = '127.0.0.1'): Promise<MetricsEndpoint> => {
    isReady = false;
    const endpoint = await serveMetrics(
      { host, port: 0 },
      { metrics: () => 'up 1\n', isReady: () => isReady },
    );
    closers.push(() => endpoint.close());
    return endpoint;
  };

  test('shows metrics under the paths of Envoy and of Prometheus', async () => {
    const { port } = await start();
    for (const path of ['/stats/prometheus', '/metrics', '/metrics?usedonly']) {
      const answer = await ask(port, path);
      expect(answer).toEqual({
        status: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        text: 'up 1\n',
      });
    }
    expect((await ask(port, '/config_dump')).status).toBe(404);
    expect(await ask(port, '/metrics', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });

  test('tells when configuration is in force', async () => {
    const { port } = await start();
    expect(await ask(port, '/ready')).toMatchObject({ status: 503, text: 'INITIALIZING\n' });
    isReady = true;
    expect(await ask(port, '/ready')).toMatchObject({ status: 200, text: 'LIVE\n' });
  });

  test('on loopback it answers to names of this machine only, and it changes nothing', async () => {
    const { port } = await start();
    expect((await ask(port, '/metrics', { host: 'evil.example' })).status).toBe(403);
    expect((await ask(port, '/metrics', { host: '127.0.0.1' })).status).toBe(200);
    expect((await ask(port, '/metrics', { method: 'POST' })).status).toBe(405);
    const open = await start('0.0.0.0');
    expect((await ask(open.port, '/metrics', { host: 'pod-7.example:15090' })).status).toBe(200);
  });

  test('a port that is taken is an error with its name', async () => {
    const { port } = await start();
    await expect(
      serveMetrics({ host: '127.0.0.1', port }, { metrics: () => '', isReady: () => true }),
    ).rejects.toMatchObject({ code: 'INMESH_PORT_IN_USE' });
  });
});

test('a mesh serves Istio’s metrics and Envoy’s figures where it was told to, and stops with close()', async () => {
  const port = await freePort();
  const mesh = await createMesh({
    service: 'web',
    controlPlane: '127.0.0.1:1',
    cacheDir: false,
    startupTimeoutMs: 0,
    metricsAddress: port,
    logger: silentLogger,
  });
  closers.push(() => mesh.close());
  expect(await ask(port, '/ready')).toMatchObject({ status: 503 });
  expect((await ask(port, '/stats/prometheus')).text).toBe(mesh.metrics());
  await mesh.close();
  await expect(ask(port, '/ready')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
