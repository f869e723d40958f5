import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFileSource, type FileSource } from '../../src/identity/file-source.js';
import { createSpiffeBundle, encodeBundleMap } from '../../src/identity/spiffe-bundle.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { createTestCa } from '../../src/testing/test-ca.js';

const ca = await createTestCa();
let dir = '';
let source: FileSource | undefined;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
});
afterEach(async () => {
  source?.close();
  await rm(dir, { recursive: true, force: true });
});

async function write(folder: string, name: string): Promise<void> {
  const { pem, privateKey } = ca.certificate(name, {});
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'tls.crt'), pem);
  await writeFile(join(folder, 'tls.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(join(folder, 'ca.crt'), ca.authority.rootPem());
}

const open = (isBundleMap = false) =>
  createFileSource({
    isBundleMap,
    certificateFile: join(dir, 'tls.crt'),
    keyFile: join(dir, 'tls.key'),
    bundleFile: join(dir, 'ca.crt'),
    clock: systemClock,
    logger: silentLogger,
  });

const nextUpdate = (from: FileSource) =>
  new Promise<void>((resolve) => {
    from.onUpdate(resolve);
  });

describe('a source that follows files', () => {
  test('supplies what is in them', async () => {
    await write(dir, 'reviews');
    source = await open();
    expect(source.svid()?.id.path).toBe('/ns/default/sa/reviews');
    expect(source.bundle('cluster.local')?.authorities).toEqual(ca.bundle.authorities);
  });

  test('follows files that are replaced', async () => {
    await write(dir, 'reviews');
    source = await open();
    const updated = nextUpdate(source);
    await write(dir, 'renewed');
    await updated;
    expect(source.svid()?.id.path).toBe('/ns/default/sa/renewed');
  });

  test('follows the link that Kubernetes swaps', async () => {
    await write(join(dir, '..1'), 'reviews');
    await symlink('..1', join(dir, '..data'));
    for (const name of ['tls.crt', 'tls.key', 'ca.crt']) await symlink(join('..data', name), join(dir, name));
    source = await open();
    const updated = nextUpdate(source);
    await write(join(dir, '..2'), 'renewed');
    await symlink('..2', join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
    await updated;
    expect(source.svid()?.id.path).toBe('/ns/default/sa/renewed');
  });

  test('reads a SPIFFE bundle map, whose trust domains are all let in', async () => {
    await write(dir, 'reviews');
    const other = await createTestCa({ trustDomain: 'other.example' });
    const bundles = [ca, other].map(({ bundle }) => createSpiffeBundle(bundle.trustDomain, { x509: bundle }));
    await writeFile(join(dir, 'ca.crt'), encodeBundleMap(bundles));
    source = await open(true);
    expect(source.bundle('other.example')?.authorities).toEqual(other.bundle.authorities);
    expect(source.federated?.()).toEqual(['other.example']);
    await writeFile(join(dir, 'ca.crt'), encodeBundleMap(bundles.slice(1)));
    await expect(source.reload()).rejects.toThrow('lacks the own trust domain');
    expect(source.bundle('cluster.local')?.authorities).toEqual(ca.bundle.authorities);
  });

  test('keeps the last identity when the files do not fit together', async () => {
    await write(dir, 'reviews');
    source = await open();
    const first = source.svid();
    await writeFile(join(dir, 'tls.crt'), ca.certificate('other', {}).pem);
    await expect(source.reload()).rejects.toThrow(expect.objectContaining({ code: 'INMESH_SVID_INVALID' }));
    expect(source.svid()).toBe(first);
  });

  test('tells nobody when the content is the same', async () => {
    await write(dir, 'reviews');
    source = await open();
    let updates = 0;
    source.onUpdate(() => updates++);
    await source.reload();
    expect(updates).toBe(0);
  });

  test('says which file is missing at the start', async () => {
    await expect(open()).rejects.toThrow(/INMESH_IDENTITY_UNAVAILABLE.*tls\.crt/);
  });
});
