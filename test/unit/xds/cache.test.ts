import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createSnapshotCache } from '../../../src/xds/cache.js';
import type { StoredResource } from '../../../src/xds/store.js';

const resources: readonly StoredResource[] = [
  { typeUrl: 'type.googleapis.com/A', name: 'one', version: '7', bytes: new Uint8Array([1, 2, 3, 10, 0]) },
  { typeUrl: 'type.googleapis.com/B', name: 'two\n"', version: '', bytes: new Uint8Array() },
];

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'inmesh-cache-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

function createCache(key = 'client', maxBytes?: number) {
  const base = { dir: join(root, 'cache'), key, clock: createFakeClock(1000) };
  return createSnapshotCache(maxBytes === undefined ? base : { ...base, maxBytes });
}

async function onlyFile(): Promise<string> {
  const [name, ...others] = await readdir(join(root, 'cache'));
  expect(others).toEqual([]);
  return join(root, 'cache', name ?? '');
}

describe('the snapshot cache', () => {
  test('brings back what was saved, with its age', async () => {
    await createCache().save(resources);
    const loaded = await createCache().load();
    expect(loaded?.savedAt).toBe(1000);
    expect(loaded?.resources.map((one) => ({ ...one, bytes: [...one.bytes] }))).toEqual(
      resources.map((one) => ({ ...one, bytes: [...one.bytes] })),
    );
  });

  test('what a killed process left behind is removed, but not what another one writes now', async () => {
    await createCache().save(resources);
    const path = await onlyFile();
    const nowMs = Date.now();
    await writeFile(`${path}.1.old.tmp`, 'half');
    await utimes(`${path}.1.old.tmp`, (nowMs - 700_000) / 1000, (nowMs - 700_000) / 1000);
    await writeFile(`${path}.2.new.tmp`, 'half');
    await writeFile(join(root, 'cache', 'other.1.old.tmp'), 'half');
    await utimes(join(root, 'cache', 'other.1.old.tmp'), 0, 0);
    const cache = createSnapshotCache({
      dir: join(root, 'cache'),
      key: 'client',
      clock: createFakeClock(nowMs),
    });
    expect((await cache.load())?.resources).toHaveLength(2);
    expect((await readdir(join(root, 'cache'))).filter((name) => name.endsWith('.tmp')).sort()).toEqual(
      [`${path.slice(path.lastIndexOf('/') + 1)}.2.new.tmp`, 'other.1.old.tmp'].sort(),
    );
  });

  test('is empty before the first save', async () => {
    expect(await createCache().load()).toBeUndefined();
  });

  test('only its owner can read it', async () => {
    await createCache().save(resources);
    expect((await stat(join(root, 'cache'))).mode & 0o777).toBe(0o700);
    expect((await stat(await onlyFile())).mode & 0o777).toBe(0o600);
  });

  test('refuses every file with one changed byte', async () => {
    await createCache().save(resources);
    const path = await onlyFile();
    const good = await readFile(path);
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      await writeFile(path, bad);
      await expect(createCache().load(), `byte ${at}`).rejects.toMatchObject({
        code: 'INMESH_CACHE_CORRUPT',
      });
    }
  });

  test('refuses every truncated file', async () => {
    await createCache().save(resources);
    const path = await onlyFile();
    const good = await readFile(path);
    for (let length = 0; length < good.length; length++) {
      await writeFile(path, good.subarray(0, length));
      await expect(createCache().load(), `${length} bytes`).rejects.toMatchObject({
        code: 'INMESH_CACHE_CORRUPT',
      });
    }
  });

  test('names the format of a file that a newer version wrote', async () => {
    await createCache().save(resources);
    const path = await onlyFile();
    await writeFile(
      path,
      (await readFile(path, 'latin1')).replace('inmesh-snapshot 1 ', 'inmesh-snapshot 2 '),
      'latin1',
    );
    await expect(createCache().load()).rejects.toThrow(/has format 2, this version reads format 1/);
  });

  test('refuses the file of another client', async () => {
    await createCache('client').save(resources);
    const own = await onlyFile();
    await createCache('other').save([]);
    const other = (await readdir(join(root, 'cache')))
      .map((name) => join(root, 'cache', name))
      .find((name) => name !== own);
    await writeFile(own, await readFile(other ?? ''));
    await expect(createCache('client').load()).rejects.toThrow(/belongs to another client/);
  });

  test('refuses a file that others may write, a link, and one that is too large', async () => {
    await createCache().save(resources);
    const path = await onlyFile();
    await chmod(path, 0o666);
    await expect(createCache().load()).rejects.toThrow(/others may write it/);
    await chmod(path, 0o600);
    await expect(createCache('client', 64).load()).rejects.toThrow(/more than 64/);
    await writeFile(join(root, 'elsewhere'), await readFile(path), { mode: 0o600 });
    await rm(path);
    await symlink(join(root, 'elsewhere'), path);
    await expect(createCache().load()).rejects.toMatchObject({ code: 'INMESH_CACHE_CORRUPT' });
  });

  test('a failed save is reported and leaves the old file', async () => {
    await createCache().save(resources);
    await expect(createCache('client', 64).save(resources)).rejects.toMatchObject({
      code: 'INMESH_CACHE_WRITE',
    });
    await writeFile(join(root, 'file'), '');
    const blocked = createSnapshotCache({ dir: join(root, 'file'), key: 'k', clock: createFakeClock() });
    await expect(blocked.save(resources)).rejects.toMatchObject({ code: 'INMESH_CACHE_WRITE' });
    expect((await createCache().load())?.resources).toHaveLength(2);
  });

  test('concurrent writers leave one whole file and nothing else', async () => {
    const lists = Array.from({ length: 20 }, (_, i) =>
      Array.from({ length: 50 }, (_, k) => ({
        typeUrl: 't',
        name: `${k}`,
        version: `${i}`,
        bytes: new Uint8Array(1000).fill(i),
      })),
    );
    await Promise.all(lists.map((list) => createCache().save(list)));
    await onlyFile();
    const loaded = await createCache().load();
    expect(new Set(loaded?.resources.map(({ version }) => version)).size).toBe(1);
    expect(loaded?.resources).toHaveLength(50);
  });
});
