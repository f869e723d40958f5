import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { type ControlPlaneOptions, createControlPlane } from '../../../src/control-plane.js';
import type { Mesh } from '../../../src/index.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { eventually, joinQuietly, serveAs, startLoad, TemporaryFolder, wait } from './support.js';

const DIST = new URL('../../../dist/', import.meta.url);
const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Program {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** What it wrote to stderr: warnings and rejections nobody handled are there. */
  readonly complaints: () => string;
  readonly ended: Promise<unknown>;
}

/** Runs a script on the built package as strictly as Node can. */
function run(script: string, env: Readonly<Record<string, string>>): Program {
  const folder = new TemporaryFolder();
  closers.push(() => folder.remove());
  const path = folder.write('script.mjs', script.replaceAll("'inmesh/", `'${DIST.href}`));
  const flags = ['--unhandled-rejections=strict', '--trace-warnings'];
  const child = spawn(process.execPath, [...flags, path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, INMESH_CACHE_DIR: 'off', INMESH_LOG_LEVEL: 'silent', ...env },
  });
  closers.push(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return { child, lines, complaints: () => complaints, ended: once(child, 'close') };
}

const SERVICE = `
import { createServer } from 'node:http';
import { createMesh } from 'inmesh/index.js';
const mesh = await createMesh();
const server = createServer((request, response) => {
  const delayMs = Number(new URL(request.url, 'http://x').searchParams.get('ms') ?? 0);
  setTimeout(() => response.end(process.env.INMESH_VERSION), delayMs);
});
await mesh.listen(server);
process.once('SIGTERM', async () => {
  await mesh.close();
  console.log('closed');
});
console.log('ready');
`;

async function startPlane(options: ControlPlaneOptions = {}) {
  const plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    logger: silentLogger,
    ...options,
  });
  closers.push(() => plane.close());
  return plane;
}

async function startService(controlPlane: string, version: string): Promise<Program> {
  const env = { INMESH_CONTROL_PLANE: controlPlane, INMESH_SERVICE: 'echo', INMESH_VERSION: version };
  const program = run(SERVICE, env);
  await eventually('the service is ready', () => program.lines.includes('ready'));
  return program;
}

/** A client that has seen both versions answer. */
async function startClient(controlPlane: string): Promise<Mesh> {
  const client = await joinQuietly({ service: 'client', controlPlane });
  closers.push(() => client.close());
  const seen = new Set<string>();
  await eventually('both versions answer', async () => {
    const response = await client.fetch('http://echo/').catch(() => undefined);
    if (response?.status === 200) seen.add(await response.text());
    return seen.size === 2;
  });
  return client;
}

describe('a service that ends', () => {
  test('by SIGTERM: it leaves the registry at once, finishes what runs, and no request fails', async () => {
    const plane = await startPlane({ registrationGraceMs: 60_000 });
    const { xds } = plane.addresses;
    const [first] = [await startService(xds, 'v1'), await startService(xds, 'v2')];
    const client = await startClient(xds);
    const [fast, slow] = [
      startLoad(client, 'http://echo/', 150, 50),
      startLoad(client, 'http://echo/?ms=500', 40, 50),
    ];
    await eventually('the first one is busy', () => (slow.bodies.get('v1') ?? 0) > 10, 20_000);
    first?.child.kill('SIGTERM');
    // Long before the grace that a crash gets.
    await eventually('it left the registry', () => plane.status().workloads === 1, 30_000);
    await first?.ended;
    await wait(1000);
    const results = [await fast.stop(), await slow.stop()];
    expect(results.flatMap(({ failures }) => failures).slice(0, 3)).toEqual([]);
    expect(first?.lines).toEqual(['ready', 'closed']);
    expect(first?.child.exitCode).toBe(0);
    expect(first?.complaints()).toBe('');
  });

  test('by SIGKILL: it leaves the registry after the grace of two seconds, and the other one serves', async () => {
    const plane = await startPlane();
    const { xds } = plane.addresses;
    const [first] = [await startService(xds, 'v1'), await startService(xds, 'v2')];
    const client = await startClient(xds);
    const begin = performance.now();
    first?.child.kill('SIGKILL');
    await eventually('it left the registry', () => plane.status().workloads === 1);
    expect(performance.now() - begin).toBeGreaterThan(1500);
    await eventually('only the other one answers', async () => {
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => client.fetch('http://echo/').then((response) => response.text())),
      );
      return answers.every((answer) => answer === 'v2');
    });
  });
});

describe('mesh.close', () => {
  test('lets a running mTLS request finish, and may be called again', async () => {
    const { xds } = (await startPlane()).addresses;
    const member = await serveAs({ service: 'echo', controlPlane: xds }, (_, response) => {
      setTimeout(() => response.end('late'), 400);
    });
    closers.push(() => member.mesh.close());
    const client = await joinQuietly({ service: 'client', controlPlane: xds });
    closers.push(() => client.close());
    await eventually('the service is known', async () => (await client.fetch('http://echo/')).status === 200);
    const answer = client.fetch('http://echo/').then((response) => response.text());
    await wait(100);
    await Promise.all([member.mesh.close(), member.mesh.close()]);
    expect(await answer).toBe('late');
    await member.mesh.close();
  });
});

const ONE_CALL = `
import { createMesh } from 'inmesh/index.js';
const mesh = await createMesh();
try {
  console.log(await (await mesh.fetch('http://echo/')).text());
} catch (error) {
  console.log(error.cause?.code ?? String(error));
}
const end = performance.now();
process.on('exit', () => console.log(Math.round(performance.now() - end)));
`;

describe('a script that never closes its mesh', () => {
  test('ends by itself soon after its last statement', async () => {
    const { xds } = (await startPlane()).addresses;
    const member = await serveAs({ service: 'echo', controlPlane: xds }, (_, response) =>
      response.end('hello'),
    );
    closers.push(() => member.mesh.close());
    const script = run(ONE_CALL, { INMESH_CONTROL_PLANE: xds, INMESH_SERVICE: 'script' });
    await script.ended;
    expect(script.lines[0]).toBe('hello');
    // Much less where the machine has time, and in any case no time limit of a mesh.
    expect(Number(script.lines[1])).toBeLessThan(14_000);
    expect(script.child.exitCode).toBe(0);
    expect(script.complaints()).toBe('');
  });

  test('ends with the error when there is no control plane', async () => {
    const plane = await startPlane();
    const { xds } = plane.addresses;
    await plane.close();
    const short = ONE_CALL.replace('createMesh()', 'createMesh({ configurationTimeoutMs: 2500 })');
    const script = run(short, { INMESH_CONTROL_PLANE: xds, INMESH_SERVICE: 'script' });
    await script.ended;
    expect(script.lines[0]).toBe('INMESH_CONTROL_PLANE_UNAVAILABLE');
    expect(script.child.exitCode).toBe(0);
    expect(script.complaints()).toBe('');
  });
});

describe('importing', () => {
  test('the package loads neither undici nor grpc-js', async () => {
    const script = run(
      `import { createRequire } from 'node:module';
      await import('inmesh/index.js');
      const { cache } = createRequire('${fileURLToPath(DIST)}x.js');
      console.log(JSON.stringify(Object.keys(cache)));
      console.log(JSON.stringify(process.moduleLoadList.filter((name) => /undici|http2/.test(name))));`,
      {},
    );
    await script.ended;
    expect(script.lines).toEqual(['[]', '[]']);
  });

  test.each(['undici.js', 'fetch.js'])(
    '%s leaves the dispatcher of the platform fetch alone',
    async (file) => {
      const script = run(
        `import { createRequire } from 'node:module';
      await import('inmesh/${file}');
      const { Agent } = createRequire('${fileURLToPath(DIST)}x.js')('undici');
      const dispatcher = globalThis[Symbol.for('undici.globalDispatcher.1')];
      console.log(dispatcher instanceof Agent);`,
        {},
      );
      await script.ended;
      expect(script.lines).toEqual(['false']);
      expect(script.complaints()).toBe('');
    },
  );
});
