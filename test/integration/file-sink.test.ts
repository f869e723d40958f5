import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createFileSink, type FileSinkOptions } from '../../src/identity/file-sink.js';
import { createFileSource } from '../../src/identity/file-source.js';
import type { IdentitySource } from '../../src/identity/source.js';
import { createSettableSource } from '../../src/identity/source.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { createTestCa } from '../../src/testing/test-ca.js';

const ca = await createTestCa({ trustDomain: 'td.test' });
const other = await createTestCa({ trustDomain: 'other.test' });

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
  closers.push(() => rm(dir, { recursive: true, force: true }));
  return join(dir, 'sink');
}
const sinkTo = (source: IdentitySource, options: Omit<FileSinkOptions, 'logger'>) => {
  const sink = createFileSink(source, { logger: silentLogger, ...options });
  closers.push(() => sink.close());
  return sink;
};
const state = (name: string, federated = false) => ({
  svid: ca.svid(name),
  bundles: federated ? [ca.bundle, other.bundle] : [ca.bundle],
  ...(federated && { federated: ['other.test'] }),
});

describe('an identity in files', () => {
  test('can be read by others, and by nobody else', async () => {
    const dir = await folder();
    const source = createSettableSource(state('a', true));
    await sinkTo(source, { dir }).ready;
    const read = await createFileSource({
      certificateFile: join(dir, 'svid.pem'),
      keyFile: join(dir, 'svid_key.pem'),
      bundleFile: join(dir, 'svid_bundle.pem'),
      federatedBundleFiles: new Map([['other.test', join(dir, 'federated_other.test.pem')]]),
      clock: systemClock,
      logger: silentLogger,
    });
    closers.push(() => read.close());
    expect(read.svid()?.id).toEqual(ca.id('a'));
    expect(read.bundle('other.test')?.authorities).toEqual(other.bundle.authorities);
    for (const name of ['svid.pem', 'svid_key.pem'])
      expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
  });

  test('changes as a whole, and leaves one generation behind', async () => {
    const dir = await folder();
    const source = createSettableSource(state('a', true));
    let calls = 0;
    let changed = () => {};
    const call = () => {
      calls++;
      changed();
    };
    await sinkTo(source, { dir, after: [{ kind: 'call', call }] }).ready;
    for (const name of ['b', 'c', 'd']) {
      const next = new Promise<void>((resolve) => {
        changed = resolve;
      });
      source.set(state(name));
      await next;
    }
    expect(await readFile(join(dir, 'svid.pem'), 'utf8')).toBe(source.svid()?.certificatesPem.join(''));
    // Current and previous generation, the link between them, and a link for each file; none for what is gone.
    expect((await readdir(dir)).filter((name) => /^\.\.\d/.test(name))).toHaveLength(2);
    expect((await readdir(dir)).filter((name) => !name.startsWith('.'))).toEqual([
      'svid.pem',
      'svid_bundle.pem',
      'svid_key.pem',
    ]);
    expect(calls).toBe(4);
    // Nothing changed, nothing is done.
    source.set({ svid: source.svid(), bundles: [ca.bundle] });
    source.set({ svid: undefined, bundles: [] });
    expect(await readFile(join(dir, 'svid.pem'), 'utf8')).toContain('CERTIFICATE');
    expect(calls).toBe(4);
  });

  test('is followed by a command or a signal', async () => {
    const dir = await folder();
    const pidFile = `${dir}.pid`;
    await writeFile(pidFile, `${process.pid}\n`);
    const signalled = new Promise<void>((resolve) => process.once('SIGUSR2', () => resolve()));
    const script = `require('fs').copyFileSync(${JSON.stringify(join(dir, 'svid.pem'))}, ${JSON.stringify(`${dir}.copy`)})`;
    const after: FileSinkOptions['after'] = [
      { kind: 'command', command: ['false'] },
      { kind: 'command', command: [process.execPath, '-e', script] },
      { kind: 'signal', pidFile, signal: 'SIGUSR2' },
    ];
    const source = createSettableSource(state('a'));
    await sinkTo(source, { dir, after }).ready;
    await signalled;
    expect(await readFile(`${dir}.copy`, 'utf8')).toBe(source.svid()?.certificatesPem.join(''));
  });

  test('that can not be written says so', async () => {
    const dir = await folder();
    await writeFile(dir, 'a file');
    await expect(sinkTo(createSettableSource(state('a')), { dir }).ready).rejects.toMatchObject({
      code: 'INMESH_CACHE_WRITE',
    });
  });
});
