import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.js';
import { createSnapshotCache } from '../../src/xds/cache.js';

/** Writes ever new generations of a large configuration, and says when each is begun. */
const SCRIPT = `
import { createSnapshotCache } from './src/xds/cache.js';
import { systemClock } from './src/runtime/clock.js';
const cache = createSnapshotCache({ dir: process.argv[2], key: 'k', clock: systemClock });
for (let generation = 1; ; generation++) {
  const bytes = new Uint8Array(256 * 1024).fill(generation);
  const resources = Array.from({ length: 16 }, (_, i) => ({ typeUrl: 't', name: 'n' + i, version: String(generation), bytes }));
  process.stdout.write(generation + '\\n');
  await cache.save(resources);
}
`;

let dir = '';
let cacheDir = '';
beforeAll(async () => {
  // Inside the project, so that the bundle finds its packages.
  dir = await mkdtemp(join(import.meta.dirname, '.cache-'));
  cacheDir = await mkdtemp(join(tmpdir(), 'inmesh-kill-'));
  await build({
    stdin: { contents: SCRIPT, resolveDir: join(import.meta.dirname, '../..'), loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile: join(dir, 'script.mjs'),
  });
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
  await rm(cacheDir, { recursive: true, force: true });
});

test('whenever the process is killed while it writes, what is on the disk is whole', async () => {
  const cache = createSnapshotCache({ dir: cacheDir, key: 'k', clock: systemClock });
  for (let run = 0; run < 4; run++) {
    const child = spawn(process.execPath, [join(dir, 'script.mjs'), cacheDir], { timeout: 60_000 });
    let begun = 0;
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk) => {
        begun = Number(String(chunk).trim().split('\n').at(-1));
        // In the middle of a write: it takes long to bring four megabytes to the disk.
        if (begun >= 3 + run) child.kill('SIGKILL');
      });
      child.on('close', () => resolve());
    });
    const loaded = await cache.load();
    const generations = new Set(loaded?.resources.map(({ version }) => Number(version)));
    expect(loaded?.resources).toHaveLength(16);
    expect(generations.size).toBe(1);
    const [generation = 0] = generations;
    expect(generation).toBeGreaterThanOrEqual(begun - 1);
    expect(loaded?.resources.every(({ bytes }) => bytes.every((byte) => byte === generation % 256))).toBe(
      true,
    );
  }
  // Halves of files that a killed process leaves behind are never taken for a cache.
  expect((await readdir(cacheDir)).filter((name) => name.endsWith('.snapshot'))).toHaveLength(1);
});
