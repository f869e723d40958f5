import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openStore } from '../../../../src/control-plane/open-store.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const root = mkdtempSync(join(tmpdir(), 'inmesh-open-store-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(root, String(folders++));

const clock = createFakeClock();
const open = (dataDir: string, massRemoval: { minimum: number } | false = false, own = clock) =>
  openStore({ dataDir, massRemoval, clock: own, logger: silentLogger });
type Opened = Awaited<ReturnType<typeof open>>;

const service = (name: string, port = 80) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { ports: [{ name: 'http', port }] },
});
const put = ({ objects }: Opened, name: string, port = 80) =>
  objects.apply({ changes: [{ op: 'apply', object: service(name, port) }], author: 'ann' });
const read = ({ store }: Opened, ...files: (readonly [string, ...string[]])[]) =>
  store.propose('files', {
    files: files.map(([file, ...names]) => ({
      file,
      content: names.map((name) => JSON.stringify(service(name))).join('\n---\n'),
    })),
  });
const names = ({ store }: Opened) => store.current.value.list('Service').map(({ name }) => name);
const told = ({ history }: Opened) =>
  history.entries.map(({ revision, source, author, changes }) => [
    revision,
    source,
    author,
    changes?.map(({ name, before, after }) => `${before ? '-' : ''}${after ? '+' : ''}${name}`).join(' '),
  ]);

test('changes of files are in the history of the next process, which starts with what was in force', async () => {
  const folder = newFolder();
  const first = await open(folder);
  read(first, ['a.yaml', 'a', 'b']);
  put(first, 'own');
  read(first, ['a.yaml', 'a'], ['c.yaml', 'c']);
  const history = told(first);
  await first.close();
  const second = await open(folder);
  expect(told(second)).toEqual(history);
  expect(history).toEqual([
    [1, 'files', 'files', '+a +b'],
    [2, 'store', 'ann', '+own'],
    [3, 'files', 'files', '+c -b'],
  ]);
  expect(names(second)).toEqual(['a', 'c', 'own']);
  expect(second.store.current.value.revision).toBe(3);
  // The same files are no change: no revision, no entry, and every object has the version that it had.
  expect(read(second, ['a.yaml', 'a'], ['c.yaml', 'c'])).toMatchObject({ accepted: true, revision: 3 });
  const a = { kind: 'Service', namespace: 'default', name: 'a' } as const;
  expect([second.history.versionOf(a), second.history.versionOf({ ...a, name: 'c' })]).toEqual([1, 3]);
  expect(second.history.between(3, 1)).toMatchObject([{ name: 'own' }, { name: 'c' }, { name: 'b' }]);
  await second.close();
});

test('what changed in files while no process ran is one revision of the files', async () => {
  const folder = newFolder();
  const first = await open(folder);
  read(first, ['a.yaml', 'a', 'b']);
  put(first, 'own');
  await first.close();
  const second = await open(folder);
  expect(read(second, ['b.yaml', 'b', 'c', 'd'])).toMatchObject({ accepted: true, revision: 3 });
  expect(told(second).slice(2)).toEqual([[3, 'files', 'files', '+c +d -a']]);
  await second.close();
});

test('files that are broken at the start leave what was in force last; an emptied folder is held back', async () => {
  const folder = newFolder();
  const all = Array.from({ length: 6 }, (_, index) => `s${index}`);
  const first = await open(folder, { minimum: 5 });
  read(first, ['a.yaml', 's0', ...all.slice(1)]);
  await first.close();
  const second = await open(folder, { minimum: 5 });
  expect(second.store.propose('files', { files: [{ file: 'a.yaml', content: 'kind: [' }] }).accepted).toBe(
    false,
  );
  expect(names(second)).toEqual(all);
  expect(second.store.propose('files', { files: [] })).toMatchObject({
    accepted: false,
    violations: [{ code: 'INMESH_MASS_REMOVAL' }],
  });
  expect(second.store.confirm()).toMatchObject({ accepted: true, revision: 2 });
  await second.close();
  const third = await open(folder, { minimum: 5 });
  expect([names(third), told(third)[1]?.[3]]).toEqual([[], '-s0 -s1 -s2 -s3 -s4 -s5']);
  await third.close();
});

test('a snapshot keeps the files and their history, too', async () => {
  const folder = newFolder();
  const first = await open(folder);
  read(first, ['a.yaml', 'a']);
  const big = { ...service('big'), metadata: { name: 'big', annotations: { text: 'x'.repeat(700_000) } } };
  for (let port = 1; port <= 7; port++)
    first.objects.apply({
      changes: [{ op: 'apply', object: { ...big, spec: { ports: [{ name: 'http', port }] } } }],
    });
  expect(existsSync(join(folder, 'config', 'snapshot.json'))).toBe(true);
  read(first, ['a.yaml', 'a', 'b']);
  await first.close();
  const second = await open(folder);
  expect(names(second)).toEqual(['a', 'b', 'big']);
  expect(told(second).map(([revision, source]) => `${revision} ${source}`)).toEqual([
    '1 files',
    ...[2, 3, 4, 5, 6, 7, 8].map((revision) => `${revision} store`),
    '9 files',
  ]);
  await second.close();
});

test('a bit that flips anywhere in what was acknowledged is told with its record, and nothing is dropped', async () => {
  const folder = newFolder();
  const first = await open(folder);
  for (const name of ['a', 'b', 'c']) put(first, name);
  await first.close();
  const path = join(folder, 'config', 'journal.log');
  const whole = readFileSync(path);
  const starts = [0, whole.indexOf(10) + 1, whole.indexOf(10, whole.indexOf(10) + 1) + 1, whole.length];
  for (const [index, start] of starts.slice(0, 3).entries()) {
    // In the digest, in the text, and at its end.
    for (const at of [start + 3, start + 60, (starts[index + 1] ?? 0) - 1]) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ 0x04;
      writeFileSync(path, flipped);
      await expect(open(folder)).rejects.toThrow(
        new RegExp(`INMESH_STORE_CORRUPT: record ${index + 1}, at byte ${start},`),
      );
      expect(readFileSync(path)).toEqual(flipped);
    }
  }
  // Blocks of the last record that the disk never got: nobody was told of it.
  const torn = Buffer.from(whole);
  torn.fill(0, (starts[2] ?? 0) + 40, whole.length - 1);
  writeFileSync(path, torn);
  const again = await open(folder);
  expect(names(again)).toEqual(['a', 'b']);
  expect(readFileSync(join(folder, 'config', 'journal.cut'))).toEqual(torn.subarray(starts[2]));
  await again.close();
});

test('of two control planes on a folder the second follows the first, and takes its place', async () => {
  const folder = newFolder();
  const own = createFakeClock();
  const first = await open(folder);
  put(first, 'a');
  const second = await open(folder, false, own);
  expect(first.role()).toMatchObject({ writes: true, holder: undefined });
  const { since } = second.role();
  expect(second.role()).toMatchObject({
    writes: false,
    holder: expect.stringContaining(`process ${process.pid}`),
  });
  expect(() => put(second, 'b')).toThrow(
    /INMESH_STORE_FOLLOWS: another control plane \(process \d+ on .+\) writes/,
  );
  put(first, 'b');
  read(first, ['a.yaml', 'f']);
  put(first, 'c');
  await own.advance(500);
  await expect.poll(() => names(second), { timeout: 30_000 }).toEqual(['a', 'b', 'c']);
  expect(second.store.current.value.revision).toBe(4);
  await first.close();
  await own.advance(500);
  await expect.poll(() => second.role().writes, { timeout: 30_000 }).toBe(true);
  // Since it took the place, not since it runs.
  expect(second.role().since).toBe(since + 1_000);
  expect(put(second, 'd')).toMatchObject({ kind: 'accepted', revision: 5 });
  await second.close();
  const third = await open(folder);
  expect(names(third)).toEqual(['f', 'a', 'b', 'c', 'd']);
  await third.close();
});

test('who finds that another process has the folder writes nothing more', async () => {
  const folder = newFolder();
  const world = await open(folder);
  put(world, 'a');
  writeFileSync(join(folder, 'config', 'lock'), '1 elsewhere 00\n');
  expect(() => put(world, 'b')).toThrow(/INMESH_STORE_FOLLOWS/);
  expect(names(world)).toEqual(['a']);
  await world.close();
});
