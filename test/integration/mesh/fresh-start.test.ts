import { afterEach, describe, expect, test } from 'vitest';
import { createControlPlane } from '../../../src/control-plane.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { eventually, joinQuietly, serveAs, TemporaryFolder } from './support.js';

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start() {
  const plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 }, logger: silentLogger });
  closers.push(() => plane.close());
  return plane;
}

describe('a start with a cache', () => {
  test('uses the endpoints of a control plane that answers, not those of before', async () => {
    const { xds: controlPlane } = (await start()).addresses;
    const cache = new TemporaryFolder();
    closers.push(() => cache.remove());
    const before = await serveAs({ service: 'echo', controlPlane }, (_request, response) =>
      response.end('before'),
    );
    const first = await joinQuietly({ service: 'client', controlPlane, cacheDir: cache.path });
    await eventually(
      'echo answers',
      async () => (await first.fetch('http://echo/').catch(() => undefined))?.status === 200,
    );
    await first.close();
    await before.mesh.close();
    const after = await serveAs({ service: 'echo', controlPlane }, (_request, response) =>
      response.end('after'),
    );
    closers.push(() => after.mesh.close());
    const second = await joinQuietly({ service: 'client', controlPlane, cacheDir: cache.path });
    closers.push(() => second.close());
    expect(second.status().configuration).toBe('control-plane');
    expect(await (await second.fetch('http://echo/')).text()).toBe('after');
  });
});

describe('a connection that mutual TLS can not make', () => {
  test('rejects with the platform’s own error, and the mesh’s account below', async () => {
    const plane = await start();
    const registration = { id: 'nobody', service: 'nobody', address: '127.0.0.1', port: 1, tlsMode: 'istio' };
    await fetch(`http://${plane.addresses.http}/api/workloads`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(registration),
    });
    const client = await joinQuietly({ service: 'client', controlPlane: plane.addresses.xds });
    closers.push(() => client.close());
    const failure: unknown = await client.fetch('http://nobody/').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TypeError);
    const { cause } = failure as TypeError & { cause: Error & { code: string } };
    expect(cause.code).toBe('ECONNREFUSED');
    expect(MeshError.is(cause.cause) && cause.cause.resource).toMatch(/^cluster .*nobody.*attempts$/);
  });
});
