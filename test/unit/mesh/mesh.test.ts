import { afterEach, describe, expect, test } from 'vitest';
import type { RunningMesh } from '../../../src/mesh/mesh.js';
import { type MeshOptions, resolveOptions } from '../../../src/mesh/options.js';
import { startMesh } from '../../../src/mesh/start.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';
import { createMemoryNetwork } from '../../../src/testing/memory-transport.js';

let mesh: RunningMesh | undefined;

afterEach(() => mesh?.close());

/** A mesh whose control plane nobody runs. */
async function lonely(options: MeshOptions = {}): Promise<{ mesh: RunningMesh; clock: FakeClock }> {
  const clock = createFakeClock();
  const resolved = resolveOptions(
    { service: 'web', version: 'v1', controlPlane: '127.0.0.1:1', cacheDir: false, ...options },
    {
      env: {},
      packageInfo: {},
      userCacheDir: '',
      instance: '1',
      readFile: () => {
        throw new Error('no file is read here');
      },
    },
  );
  mesh = await startMesh(resolved, {
    clock,
    random: seededRandom(1),
    logger: silentLogger,
    transport: () => createMemoryNetwork().transport,
  });
  return { mesh, clock };
}

describe('a mesh without configuration', () => {
  test('can’t tell about names that look meshed, and leaves all others alone when none is coming', async () => {
    const { mesh } = await lonely();
    await mesh.whenConfigured('https://example.com');
    for (const origin of ['http://reviews', 'http://reviews:9080', 'http://reviews.shop.svc.cluster.local']) {
      expect(mesh.lookup(origin)).toBe('unknown');
      expect(mesh.lookup(new URL(origin))).toBe('unknown');
    }
    for (const origin of [
      'http://localhost:3000',
      'https://example.com',
      'http://127.0.0.1',
      'http://[::1]:80',
    ]) {
      expect(mesh.lookup(origin)).toBeUndefined();
    }
  });

  test('lets requests wait for it only so long, counted from the start', async () => {
    const { mesh, clock } = await lonely({ configurationTimeoutMs: 1_000 });
    await clock.advance(400);
    let code: unknown;
    const waiting = mesh.whenConfigured().catch((error: { code: unknown }) => {
      code = error.code;
    });
    await clock.advance(500);
    expect(code).toBeUndefined();
    await clock.advance(100);
    await waiting;
    expect(code).toBe('INMESH_CONTROL_PLANE_UNAVAILABLE');
    await expect(mesh.whenConfigured()).rejects.toMatchObject({ code: 'INMESH_CONTROL_PLANE_UNAVAILABLE' });
  });

  test('says who it is and where it looks', async () => {
    const { mesh } = await lonely({ namespace: 'shop' });
    expect(mesh.status()).toMatchObject({
      service: 'web',
      namespace: 'shop',
      version: 'v1',
      nodeId: 'sidecar~127.0.0.1~web-1.shop~shop.svc.cluster.local',
      configuration: 'none',
      listeners: 0,
      clusters: [],
      identity: undefined,
      controlPlane: { target: '127.0.0.1:1' },
    });
  });

  test('closing it ends the wait, and is the same the second time', async () => {
    const { mesh } = await lonely();
    const waiting = mesh.whenConfigured().catch((error: unknown) => error);
    const closing = mesh.close();
    expect(mesh.close()).toBe(closing);
    await closing;
    expect(await waiting).toMatchObject({ code: 'INMESH_CLOSED' });
    expect(mesh.status().controlPlane.state).toBe('disconnected');
  });
});
