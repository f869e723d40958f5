import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { holderOf, holdFileLock, withFileLock } from '../../../src/runtime/file-lock.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

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
  expect(seen).toMatch(new RegExp(`^${process.pid} \\S+ [0-9a-f]{16}( \\d+)?\n$`));
  expect(readdirSync(dir).filter((name) => name.startsWith('e.lock'))).toEqual([]);
});

test('the id of a holder that is gone may be another process’s by now', async () => {
  const path = join(dir, 'f.lock');
  writeFileSync(path, `${process.pid} ${hostname()} 00 1\n`);
  const taken = await holdFileLock(path, { timeoutMs: 100, clock: createFakeClock() });
  // Where the platform does not tell when a process began, the id is all there is.
  expect(taken === undefined).toBe(process.platform !== 'linux');
  await taken?.release();
});

test('a lock that is held for long says who has it, and is touched so that others know', async () => {
  const path = join(dir, 'g.lock');
  const clock = createFakeClock();
  const lock = await holdFileLock(path, { timeoutMs: 0, clock });
  expect(holderOf(path)).toBe(`process ${process.pid} on ${hostname()}`);
  expect(await holdFileLock(path, { timeoutMs: 0, clock })).toBeUndefined();
  const past = new Date(Date.now() - 3_600_000);
  utimesSync(path, past, past);
  await clock.advance(15_000);
  await expect.poll(() => statSync(path).mtimeMs, { timeout: 30_000 }).toBeGreaterThan(Date.now() - 60_000);
  expect(lock?.isHeld()).toBe(true);
  writeFileSync(path, '1 elsewhere 00\n');
  expect(lock?.isHeld()).toBe(false);
  await lock?.release();
  expect(readFileSync(path, 'utf8')).toContain('elsewhere');
});
