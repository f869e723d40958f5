import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeFileAtomic } from '../../../src/runtime/atomic-file.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'inmesh-atomic-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('writing a file atomically', () => {
  test('writes all parts in order, for its owner only, and makes the folder', async () => {
    const path = join(root, 'new', 'file');
    await writeFileAtomic(path, [Buffer.from('one '), Buffer.from('two')]);
    expect(await readFile(path, 'utf8')).toBe('one two');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(root, 'new'))).mode & 0o777).toBe(0o700);
  });

  test('takes the permissions given', async () => {
    await writeFileAtomic(join(root, 'public', 'file'), [], { mode: 0o644, dirMode: 0o755 });
    expect((await stat(join(root, 'public', 'file'))).mode & 0o777).toBe(0o644);
    expect((await stat(join(root, 'public'))).mode & 0o777).toBe(0o755);
  });

  test('replaces what was there and leaves nothing else behind', async () => {
    await writeFile(join(root, 'file'), 'a longer old content');
    await writeFileAtomic(join(root, 'file'), [Buffer.from('new')]);
    expect(await readFile(join(root, 'file'), 'utf8')).toBe('new');
    expect(await readdir(root)).toEqual(['file']);
  });

  test('a write that fails leaves the old state and no temporary file', async () => {
    await mkdir(join(root, 'taken'));
    await expect(writeFileAtomic(join(root, 'taken'), [Buffer.from('x')])).rejects.toThrow();
    expect(await readdir(root)).toEqual(['taken']);
  });

  test('a reader beside many writers sees only whole contents', async () => {
    const path = join(root, 'file');
    await writeFileAtomic(path, [Buffer.alloc(5000, 'a')]);
    const writes = Promise.all(
      [...'bcdefghij'].map((letter) => writeFileAtomic(path, [Buffer.alloc(5000, letter)])),
    );
    let isDone = false;
    const done = writes.finally(() => {
      isDone = true;
    });
    while (!isDone) expect(await readFile(path, 'utf8')).toMatch(/^(.)\1{4999}$/);
    await done;
  });
});
