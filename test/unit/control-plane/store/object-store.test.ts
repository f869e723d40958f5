import {
  fsyncSync,
  ftruncateSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createConfigStore } from '../../../../src/control-plane/store/config-store.js';
import { History } from '../../../../src/control-plane/store/history.js';
import { type JournalDisk, openJournal } from '../../../../src/control-plane/store/journal.js';
import { type Batch, ObjectStore } from '../../../../src/control-plane/store/object-store.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const root = mkdtempSync(join(tmpdir(), 'inmesh-store-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(root, String(folders++));

const tools = { clock: createFakeClock(), logger: silentLogger };

async function open(directory?: string, disk?: JournalDisk) {
  const journal = directory === undefined ? undefined : await openJournal(directory, { disk });
  const store = createConfigStore(tools, { massRemoval: {} });
  const history = new History();
  const objects = new ObjectStore({ store, history, journal, ...tools });
  return { journal, store, history, objects };
}

const service = (name: string, port = 80) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { ports: [{ name: 'http', port }] },
});
const apply = (...names: string[]): Batch => ({
  changes: names.map((name) => ({ op: 'apply', object: service(name) })),
});
const remove = (...names: string[]): Batch => ({
  changes: names.map((name) => ({ op: 'delete', kind: 'Service', namespace: 'default', name })),
});
const names = ({ store }: Awaited<ReturnType<typeof open>>) =>
  store.current.value.list('Service').map(({ name }) => name);

test('a batch takes effect as a whole, with a revision; the same again changes nothing', async () => {
  const world = await open();
  expect(world.objects.apply(apply('a', 'b'))).toMatchObject({
    kind: 'accepted',
    revision: 1,
    changes: [{ result: 'created', resourceVersion: '1' }, { result: 'created' }],
  });
  expect(world.objects.apply(apply('a'))).toMatchObject({
    revision: 1,
    changes: [{ result: 'unchanged', resourceVersion: '1' }],
  });
  expect(
    world.objects.apply({
      changes: [...apply('c').changes, { op: 'apply', object: { ...service('d'), spec: { ports: 1 } } }],
    }),
  ).toMatchObject({
    kind: 'invalid',
  });
  expect(names(world)).toEqual(['a', 'b']);
});

test('of two writers that saw the same revision one is told of a conflict', async () => {
  const { objects } = await open();
  objects.apply(apply('a'));
  const seen = { ...service('a', 81), metadata: { name: 'a', resourceVersion: '1' } };
  expect(objects.apply({ changes: [{ op: 'apply', object: seen }] })).toMatchObject({
    kind: 'accepted',
    revision: 2,
  });
  expect(objects.apply({ changes: [{ op: 'apply', object: seen }] })).toMatchObject({ kind: 'conflict' });
  expect(objects.apply({ ...apply('b'), ifRevision: 1 })).toMatchObject({ kind: 'conflict' });
  expect(objects.apply({ changes: [{ op: 'create', object: service('a') }] })).toMatchObject({
    kind: 'conflict',
  });
  expect(objects.apply(remove('zz'))).toMatchObject({ kind: 'missing' });
});

test('what stands in a file is changed there', async () => {
  const { store, objects } = await open();
  store.propose('files', { files: [{ file: 'mesh.yaml', content: JSON.stringify(service('a')) }] });
  expect(objects.apply(apply('a'))).toEqual({
    kind: 'conflict',
    reasons: ['Service default/a stands at mesh.yaml:1: change it there'],
  });
});

test('a dry run tells what would be, and changes nothing', async () => {
  const world = await open();
  expect(world.objects.apply({ ...apply('a'), isDryRun: true })).toMatchObject({
    revision: 1,
    changes: [{ result: 'created' }],
  });
  expect(names(world)).toEqual([]);
});

test('a change is told the warnings about what it changes and those that it brings, not what else is wrong', async () => {
  const world = await open();
  const warned = (batch: Batch) => {
    const result = world.objects.apply(batch);
    return result.kind === 'accepted' ? result.warnings.map(({ resource }) => resource) : result;
  };
  const route = (name: string, host: string) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name },
    spec: { hosts: [name], http: [{ route: [{ destination: { host } }] }] },
  });
  expect(warned(apply('a', 'b', 'there'))).toEqual([]);
  const lost: Batch = { changes: [{ op: 'apply', object: route('a', 'nowhere') }] };
  const own = 'VirtualService default/a';
  expect(warned(lost)).toEqual([own]);
  expect(warned({ changes: [{ op: 'apply', object: route('b', 'there') }] })).toEqual([]);
  expect(warned({ ...lost, isDryRun: true })).toEqual([own]);
  expect(warned(lost)).toEqual([own]);
  expect(warned(remove('there'))).toEqual(['VirtualService default/b']);
  expect(world.store.warnings.value.map(({ resource }) => resource)).toEqual([
    own,
    'VirtualService default/b',
  ]);
});

test('history tells what changed between revisions, and the way back', async () => {
  const { objects, history } = await open();
  objects.apply({ ...apply('a'), author: 'ann', message: 'first' });
  objects.apply({ changes: [{ op: 'apply', object: service('a', 81) }] });
  objects.apply(remove('a'));
  expect(history.entries.map(({ revision, author }) => [revision, author])).toEqual([
    [1, 'ann'],
    [2, undefined],
    [3, undefined],
  ]);
  expect(history.between(1, 2)).toMatchObject([
    { before: { spec: { ports: [{ port: 80 }] } }, after: { spec: { ports: [{ port: 81 }] } } },
  ]);
  expect(history.between(0, 3)).toEqual([]);
  expect(history.between(3, 1)).toMatchObject([{ after: { spec: { ports: [{ port: 80 }] } } }]);
});

test('the removal of most of the configuration is held back until it is confirmed', async () => {
  const world = await open();
  const all = Array.from({ length: 12 }, (_, index) => `s${index}`);
  world.objects.apply(apply(...all));
  expect(world.objects.apply(remove(...all.slice(1)))).toMatchObject({
    kind: 'held',
    removals: [{ sort: 'services', removed: 11, total: 12 }, { sort: 'documents' }],
  });
  expect(names(world)).toHaveLength(12);
  expect(world.objects.apply({ ...remove(...all.slice(1)), isConfirmed: true })).toMatchObject({
    kind: 'accepted',
  });
  expect(names(world)).toEqual(['s0']);
});

test('a file that loses most of its documents is held back, too, with the last good one in force', async () => {
  const { store } = await open();
  const content = (count: number) =>
    Array.from({ length: count }, (_, index) => JSON.stringify(service(`s${index}`))).join('\n---\n');
  const propose = (count: number) =>
    store.propose('files', { files: [{ file: 'mesh.yaml', content: content(count) }] });
  propose(12);
  expect(propose(2)).toMatchObject({ accepted: false, violations: [{ code: 'INMESH_MASS_REMOVAL' }] });
  expect(store.held.value).toMatchObject({ source: 'files' });
  expect(store.current.value.list('Service')).toHaveLength(12);
  expect(store.confirm()).toMatchObject({ accepted: true, revision: 2 });
  expect(store.held.value).toBeUndefined();
  expect(store.current.value.list('Service')).toHaveLength(2);
});

test('what was acknowledged is there after a restart, with its history and versions', async () => {
  const folder = newFolder();
  const first = await open(folder);
  first.objects.apply({ ...apply('a', 'b'), message: 'two' });
  first.objects.apply(remove('b'));
  first.journal?.close();
  const second = await open(folder);
  expect(names(second)).toEqual(['a']);
  expect(second.store.current.value.revision).toBe(2);
  expect(second.history.entries).toMatchObject([{ revision: 1, message: 'two' }, { revision: 2 }]);
  expect(second.objects.apply(apply('c'))).toMatchObject({ revision: 3 });
  second.journal?.close();
});

test('an unfinished record at the end is cut off; damage before it refuses the start', async () => {
  const folder = newFolder();
  const first = await open(folder);
  first.objects.apply(apply('a'));
  first.objects.apply(apply('b'));
  first.journal?.close();
  const path = join(folder, 'journal.log');
  const whole = readFileSync(path);
  for (const cut of [1, 10, whole.length - whole.indexOf(10) - 2]) {
    writeFileSync(path, whole.subarray(0, whole.length - cut));
    const again = await open(folder);
    expect(names(again)).toEqual(['a']);
    expect(statSync(path).size).toBe(whole.indexOf(10) + 1);
    again.journal?.close();
  }
  const damaged = Buffer.from(whole);
  damaged[30] = 0x7e;
  writeFileSync(path, damaged);
  await expect(open(folder)).rejects.toMatchObject({ code: 'INMESH_STORE_CORRUPT' });
});

test('a full disk refuses the write, keeps what is there, and is forgotten once there is room', async () => {
  const folder = newFolder();
  let isFull = false;
  const disk: JournalDisk = {
    fsyncSync,
    ftruncateSync,
    writeSync(fd, bytes, offset, length, position) {
      if (!isFull) return writeSync(fd, bytes, offset, length, position);
      // Part of a record goes in before the disk is full.
      writeSync(fd, bytes, offset, 7, position);
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    },
  };
  const world = await open(folder, disk);
  world.objects.apply(apply('a'));
  isFull = true;
  expect(() => world.objects.apply(apply('b'))).toThrow(/INMESH_STORE_WRITE: the disk is full/);
  expect(names(world)).toEqual(['a']);
  isFull = false;
  expect(world.objects.apply(apply('c'))).toMatchObject({ kind: 'accepted', revision: 2 });
  world.journal?.close();
  const again = await open(folder);
  expect(names(again)).toEqual(['a', 'c']);
  again.journal?.close();
});

test('after a failed sync nothing more is written, and everything can be read', async () => {
  const disk: JournalDisk = {
    writeSync,
    ftruncateSync,
    fsyncSync() {
      throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    },
  };
  const world = await open(newFolder(), disk);
  expect(() => world.objects.apply(apply('a'))).toThrow(/INMESH_STORE_WRITE/);
  expect(() => world.objects.apply(apply('b'))).toThrow(/INMESH_STORE_WRITE/);
  expect(names(world)).toEqual([]);
  world.journal?.close();
});

test('a journal that has grown becomes a snapshot', async () => {
  const folder = newFolder();
  const first = await open(folder);
  const big = (index: number) => ({
    ...service('big'),
    metadata: { name: 'big', annotations: { text: `${index}${'x'.repeat(200_000)}` } },
  });
  for (let index = 0; index < 12; index++)
    first.objects.apply({ changes: [{ op: 'apply', object: big(index) }] });
  expect(first.journal?.sizeBytes).toBeLessThan(4 * 1024 * 1024);
  first.objects.apply(apply('a'));
  first.journal?.close();
  const second = await open(folder);
  expect(names(second)).toEqual(['big', 'a']);
  expect(second.store.current.value.revision).toBe(13);
  second.journal?.close();
});
