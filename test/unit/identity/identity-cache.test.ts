import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDirectoryCaStore } from '../../../src/control-plane/ca/directory-store.js';
import { createIdentityCache } from '../../../src/identity/identity-cache.js';
import { createTestCa } from '../../../src/testing/test-ca.js';

const ca = await createTestCa();
const identity = { svid: ca.svid('reviews'), bundles: [ca.bundle] };
const corrupt = (text: string) =>
  expect.objectContaining({ code: 'INMESH_CACHE_CORRUPT', message: expect.stringContaining(text) });

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the identity cache', () => {
  const open = () => createIdentityCache({ dir: join(dir, 'cache'), key: 'default.reviews' });
  const file = () => join(dir, 'cache', 'identity-default.reviews.json');

  test('loads what was saved', async () => {
    await open().save(identity);
    const loaded = await open().load();
    expect(loaded?.svid.id.equals(identity.svid.id)).toBe(true);
    expect(loaded?.svid.certificatesPem).toEqual(identity.svid.certificatesPem);
    expect(loaded?.svid.privateKey.equals(identity.svid.privateKey)).toBe(true);
    expect(loaded?.bundles[0]?.authorities).toEqual(ca.bundle.authorities);
  });

  test('has nothing before the first save', async () => {
    expect(await open().load()).toBeUndefined();
  });

  test('keeps the key from other users', async () => {
    await open().save(identity);
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect((await stat(join(dir, 'cache'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(dir, 'cache'))).toEqual(['identity-default.reviews.json']);
  });

  test('refuses a file that others can read', async () => {
    await open().save(identity);
    await chmod(file(), 0o644);
    await expect(open().load()).rejects.toThrow(corrupt('other users'));
  });

  test('refuses a file that was changed or cut off', async () => {
    await open().save(identity);
    const text = await readFile(file(), 'utf8');
    for (const damaged of [text.slice(0, -100), text.replace('"certificates"', '"certificatez"'), '']) {
      await writeFile(file(), damaged);
      await expect(open().load()).rejects.toThrow(corrupt('checksum'));
    }
  });

  test('says so when it cannot be written', async () => {
    await writeFile(join(dir, 'cache'), 'a file where the folder should be');
    await expect(open().save(identity)).rejects.toThrow(
      expect.objectContaining({ code: 'INMESH_CACHE_WRITE' }),
    );
  });

  test('a key cannot leave the folder', async () => {
    const cache = createIdentityCache({ dir, key: '../../evil' });
    await cache.save(identity);
    expect(await readdir(dir)).toEqual(['identity-.._.._evil.json']);
  });
});

test('the store of an authority keeps key and root in one private file', async () => {
  const store = createDirectoryCaStore(join(dir, 'ca'));
  expect(await store.load()).toBeUndefined();
  await store.save('content');
  expect(await store.load()).toBe('content');
  expect((await stat(join(dir, 'ca', 'ca.json'))).mode & 0o777).toBe(0o600);
});
