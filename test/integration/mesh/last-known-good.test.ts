import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { createTextLogger } from '../../../src/runtime/log.js';
import { startInbound } from '../inbound/support.js';
import {
  type Addresses,
  ControlPlaneProcess,
  eventually,
  joinQuietly,
  type Member,
  serveAs,
  startLoad,
  TemporaryFolder,
  wait,
} from './support.js';

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function folder(): TemporaryFolder {
  const one = new TemporaryFolder();
  closers.push(() => one.remove());
  return one;
}

async function controlPlane(args: readonly string[] = [], ports?: Addresses): Promise<ControlPlaneProcess> {
  const plane = await ControlPlaneProcess.start(args, ports);
  closers.push(() => plane.stop('SIGKILL'));
  return plane;
}

async function member(options: Parameters<typeof serveAs>[0]): Promise<Member> {
  const one = await serveAs(options, (_, response) => response.end('hello'));
  closers.push(() => one.mesh.close());
  return one;
}

async function client(options: Parameters<typeof joinQuietly>[0]): ReturnType<typeof joinQuietly> {
  const mesh = await joinQuietly({ service: 'client', ...options });
  closers.push(() => mesh.close());
  return mesh;
}

const answers = async (mesh: Awaited<ReturnType<typeof joinQuietly>>) => {
  const response = await mesh.fetch('http://echo/').catch(() => undefined);
  return response?.status === 200 && (await response.text()) === 'hello';
};

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let at = error; at instanceof Error; at = at.cause) causes.push(MeshError.is(at) ? at.code : at.name);
  return causes;
}

describe('a start without a control plane and without a cache', () => {
  test('fails mesh requests with one code, serves the rest, and recovers when it appears', async () => {
    const plane = await controlPlane();
    await plane.stop();
    const outside = await startInbound((_, response) => response.end('outside'), { mode: 'disable' });
    closers.push(() => outside.close());
    const options = {
      controlPlane: plane.addresses.xds,
      startupTimeoutMs: 200,
      configurationTimeoutMs: 1200,
    };

    // Loading the modules is not what is measured.
    await import('../../../src/bindings/join.js');
    const begin = performance.now();
    const mesh = await client(options);
    // It waits for 200 ms; the rest is what a busy machine needs.
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(mesh.status()).toMatchObject({ configuration: 'none' });
    // On a busy machine the refusal may not have been heard yet.
    expect(mesh.status().controlPlane.state).not.toBe('connected');

    // Waiting for configuration would end in an error.
    expect(await (await mesh.fetch(outside.url)).text()).toBe('outside');

    const error = await mesh.fetch('http://echo/').catch((reason: unknown) => reason);
    const waitedMs = performance.now() - begin;
    expect(causesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_CONTROL_PLANE_UNAVAILABLE']);
    expect(waitedMs).toBeGreaterThan(1000);
    expect(waitedMs).toBeLessThan(14_000);

    await member({ ...options, service: 'echo' });
    await controlPlane([], plane.addresses);
    await eventually('both join and the service answers', () => answers(mesh));
    expect(mesh.status().configuration).toBe('control-plane');
  });
});

describe('a restart while the control plane is away', () => {
  test('serves and calls from the cache, with saved certificates, and follows the control plane when it is back', async () => {
    const [data, serverCache, clientCache] = [folder(), folder(), folder()];
    const args = ['--data', data.path];
    const plane = await controlPlane(args);
    const { xds } = plane.addresses;
    const server = await member({ service: 'echo', controlPlane: xds, cacheDir: serverCache.path });
    const first = await client({ controlPlane: xds, cacheDir: clientCache.path });
    await eventually('the service answers', () => answers(first));
    await first.close();
    await plane.stop('SIGKILL');

    // The client restarts: what it knows comes from disk.
    const second = await client({ controlPlane: xds, cacheDir: clientCache.path });
    expect(second.status()).toMatchObject({ configuration: 'cache' });
    expect(await answers(second)).toBe(true);
    expect(second.status().identity?.spiffeId).toContain('/sa/default');

    // The service restarts on its port, mTLS and all.
    await server.mesh.close();
    const again = await serveAs(
      { service: 'echo', controlPlane: xds, cacheDir: serverCache.path, startupTimeoutMs: 500 },
      (_, response) => response.end('hello'),
      server.port,
    );
    closers.push(() => again.mesh.close());
    expect(again.mesh.status().configuration).toBe('cache');
    await eventually('the restarted service answers', () => answers(second));

    await controlPlane(args, plane.addresses);
    const isBack = () => second.status().configuration === 'control-plane';
    await eventually('the control plane is in force again', isBack);
    await eventually('the service still answers', () => answers(second));
  });

  test('a cache that was damaged is told, ignored and replaced', async () => {
    const cache = folder();
    const plane = await controlPlane();
    const { xds } = plane.addresses;
    await member({ service: 'echo', controlPlane: xds });
    const first = await client({ controlPlane: xds, cacheDir: cache.path });
    await eventually('the service answers', () => answers(first));
    await first.close();
    const files = readdirSync(cache.path);
    expect(files).toHaveLength(2);
    for (const name of files) {
      const bytes = readFileSync(join(cache.path, name));
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      writeFileSync(join(cache.path, name), bytes);
    }
    const lines: string[] = [];
    const logger = createTextLogger((line) => lines.push(line), 'warn');
    const second = await client({ controlPlane: xds, cacheDir: cache.path, logger });
    await eventually('the service answers', () => answers(second));
    await second.close();
    expect(lines.filter((line) => line.includes('INMESH_CACHE_CORRUPT'))).toHaveLength(2);

    await plane.stop('SIGKILL');
    const third = await client({ controlPlane: xds, cacheDir: cache.path });
    expect(third.status().configuration).toBe('cache');
  });

  test('a cache folder that cannot be written costs a warning and nothing else', async () => {
    const cache = folder();
    const { xds } = (await controlPlane()).addresses;
    await member({ service: 'echo', controlPlane: xds });
    const lines: string[] = [];
    const logger = createTextLogger((line) => lines.push(line), 'warn');
    const mesh = await client({ controlPlane: xds, cacheDir: join(cache.write('file', ''), 'x'), logger });
    await eventually('the service answers', () => answers(mesh));
    await mesh.close();
    const failures = lines.filter((line) => line.includes('INMESH_CACHE_WRITE'));
    // Of the configuration and of the identity; each at every change that would have been kept.
    expect(new Set(failures.map((line) => line.replace(/^\S+ /, ''))).size).toBe(2);
  });
});

describe('a control plane that comes back with another root', () => {
  test('no request fails while its members change over, one after the other', async () => {
    const plane = await controlPlane();
    const { xds } = plane.addresses;
    const server = await member({ service: 'echo', controlPlane: xds });
    const mesh = await client({ controlPlane: xds });
    await eventually('the service answers', () => answers(mesh));
    const members = [mesh, server.mesh];
    const before = new Set(members.map(({ identity }) => identity.svid()));
    const trustOf = ({ identity }: Mesh) => identity.bundle('cluster.local')?.authorities;
    const load = startLoad(mesh, 'http://echo/', 200, 100);
    await plane.stop('SIGKILL');
    await wait(2000);
    await controlPlane([], plane.addresses);
    const haveRenewed = () => members.every(({ identity }) => !before.has(identity.svid()));
    await eventually('both present a certificate of the new root', haveRenewed, 40_000);
    const trustTheSame = () => isDeepStrictEqual(trustOf(mesh), trustOf(server.mesh));
    await eventually('both trust the same', trustTheSame, 40_000);
    await wait(1000);
    const result = await load.stop();
    expect(result.failures.slice(0, 3)).toEqual([]);
    expect(result.sent).toBeGreaterThan(100);
  });
});
