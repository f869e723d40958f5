import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { withFileLock } from '../../../src/runtime/file-lock.js';

const dir = mkdtempSync(join(tmpdir(), 'inmesh-lock-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('one at a time, and nothing is left', async () => {
  const path = join(dir, 'a.lock');
  let inside = 0;
  let most = 0;
  const work = () =>
    withFileLock(path, async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    });
  await Promise.all(Array.from({ length: 8 }, work));
  expect(most).toBe(1);
  expect(readdirSync(dir)).toEqual([]);
});

test('what fails inside lets go', async () => {
  const path = join(dir, 'b.lock');
  await expect(withFileLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await withFileLock(path, () => Promise.resolve(1))).toBe(1);
});

test('the lock of a process that is gone is taken away, also by several at once', async () => {
  const path = join(dir, 'c.lock');
  // No process has this id: Linux ends at 2^22.
  writeFileSync(path, `4999999 ${hostname()} 00\n`);
  let inside = 0;
  let most = 0;
  const work = () =>
    withFileLock(path, async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    });
  await Promise.all([work(), work(), work()]);
  expect(most).toBe(1);
});

test('a folder that can not be written is told', async () => {
  writeFileSync(join(dir, 'file'), '');
  await expect(withFileLock(join(dir, 'file', 'x.lock'), () => Promise.resolve())).rejects.toThrow();
});

test('a lock that was cut off by a crash is taken away once nobody can be writing it', async () => {
  const path = join(dir, 'd.lock');
  writeFileSync(path, '');
  const past = new Date(Date.now() - 6000);
  utimesSync(path, past, past);
  expect(await withFileLock(path, () => Promise.resolve(1))).toBe(1);
});

test('while it is held its file says by whom, whole from the first moment', async () => {
  const path = join(dir, 'e.lock');
  const seen = await withFileLock(path, () => Promise.resolve(readFileSync(path, 'utf8')));
  expect(seen).toMatch(new RegExp(`^${process.pid} \\S+ [0-9a-f]{16}\n$`));
  expect(readdirSync(dir).filter((name) => name.startsWith('e.lock'))).toEqual([]);
});
