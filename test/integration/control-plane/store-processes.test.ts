import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { createControlPlane } from '../../../src/control-plane.js';

const BIN = fileURLToPath(new URL('../../../dist/bin.js', import.meta.url));
const dataDir = mkdtempSync(join(tmpdir(), 'inmesh-two-'));
const config = join(dataDir, 'mesh.yaml');
writeFileSync(config, '');
const children = new Set<ReturnType<typeof spawn>>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

/** A control plane in a process of its own, perhaps in a shell that limits it. */
async function start(limit = '') {
  const ports = ['--port', '0', '--secure-port', '0', '--http-port', '0'];
  const args = [BIN, 'dev', ...ports, '-c', config, '-d', dataDir, '-o', 'json'];
  const line = `${limit}exec "$@"`;
  const child = spawn('/bin/sh', ['-c', line, 'sh', process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const first = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', () => reject(new Error('the control plane did not start')));
  });
  return { url: `http://${JSON.parse(first).http}`, child, exited };
}

async function put(url: string, name: string, text = '') {
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, annotations: { text } },
    spec: { ports: [{ name: 'http', port: 80 }] },
  };
  const response = await fetch(`${url}/api/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ changes: [{ op: 'apply', object }] }),
  });
  const body = (await response.json()) as { readonly error?: { readonly message: string } };
  return { status: response.status, message: body.error?.message ?? '' };
}

async function names(url: string): Promise<string[]> {
  const { items } = (await (await fetch(`${url}/api/resources?kind=svc`)).json()) as {
    readonly items: readonly { readonly metadata: { readonly name: string } }[];
  };
  return items.map(({ metadata }) => metadata.name);
}

test('a second control plane on a folder follows the first, and takes over when that one is killed', async () => {
  const first = await start();
  expect(await put(first.url, 'a')).toMatchObject({ status: 200 });
  const second = await createControlPlane({
    dataDir,
    config: [config],
    ports: { xds: 0, secureXds: 0, http: 0 },
  });
  const url = `http://${second.addresses.http}`;
  expect(second.status().store).toMatchObject({
    writes: false,
    holder: expect.stringMatching(new RegExp(`^process ${first.child.pid} on `)),
  });
  expect(await put(url, 'b')).toMatchObject({
    status: 503,
    message: expect.stringContaining(`process ${first.child.pid} on`),
  });
  expect(await put(first.url, 'b')).toMatchObject({ status: 200 });
  await expect.poll(() => names(url), { timeout: 40_000 }).toEqual(['a', 'b']);
  // It is killed in the middle of writing; everything that was acknowledged is there.
  const acknowledged = ['a', 'b'];
  const writing = (async () => {
    for (let index = 0; ; index++) {
      const { status } = await put(first.url, `w${index}`);
      if (status === 200) acknowledged.push(`w${index}`);
      if (index === 5) first.child.kill('SIGKILL');
    }
  })().catch(() => {});
  await Promise.all([first.exited, writing]);
  await expect.poll(() => second.status().store.writes, { timeout: 40_000 }).toBe(true);
  expect(await names(url)).toEqual(expect.arrayContaining(acknowledged));
  expect(await put(url, 'c')).toMatchObject({ status: 200 });
  await second.close();
});

test('where a file may not grow, writes are refused, what was acknowledged is read, and it goes on with room', async () => {
  // SIGXFSZ is ignored by Node: the write fails with EFBIG, as on a full disk with ENOSPC. `ulimit -f` counts 512 bytes.
  const small = await start("trap '' XFSZ; ulimit -f 40; ");
  const acknowledged = await names(small.url);
  let refused: Awaited<ReturnType<typeof put>> | undefined;
  for (let index = 0; index < 30 && refused === undefined; index++) {
    const answer = await put(small.url, `f${index}`, 'x'.repeat(2_000));
    if (answer.status === 200) acknowledged.push(`f${index}`);
    else refused = answer;
  }
  expect(refused).toMatchObject({ status: 507, message: expect.stringContaining('the disk is full') });
  expect(await names(small.url)).toEqual(acknowledged);
  small.child.kill('SIGKILL');
  await small.exited;
  const again = await start();
  expect(await names(again.url)).toEqual(acknowledged);
  expect(await put(again.url, 'more')).toMatchObject({ status: 200 });
  again.child.kill('SIGTERM');
  await again.exited;
});
