import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFileSource } from '../../../src/control-plane/sources/file-source.js';
import { createMemorySource } from '../../../src/control-plane/sources/memory-source.js';
import type { ConfigSource } from '../../../src/control-plane/sources/source.js';
import { type ConfigStore, createConfigStore } from '../../../src/control-plane/store/config-store.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { type Signal, until } from '../../../src/runtime/signal.js';

let folder: string;
let controller: AbortController;
let running: Promise<void>[];
let store: ConfigStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inmesh-config-'));
  controller = new AbortController();
  running = [];
  store = createConfigStore({ clock: systemClock, logger: silentLogger });
});

afterEach(async () => {
  controller.abort();
  await Promise.all(running);
  await rm(folder, { recursive: true, force: true });
});

const service = (name: string, port = 80): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: ${port}}]}\n`;

/** Polling is off: what these tests see is what the operating system reports. */
const watched = (...paths: readonly string[]): ConfigSource =>
  createFileSource({ paths, pollMs: 3_600_000, quietMs: 20 }, systemClock);

function start(source: ConfigSource): void {
  running.push(source.run(store, controller.signal));
}

/** Waits until the services in force are these, as `name:port`. */
async function untilServices(...expected: readonly string[]): Promise<void> {
  await until(store.current, (view) => {
    const services = view.list('Service').map(({ name, spec }) => `${name}:${spec.ports?.[0]?.port}`);
    return services.join() === expected.join();
  });
}

const untilSet = <T>(signal: Signal<T | undefined>) => until(signal, (value) => value !== undefined);

test('files of a directory are read in order, followed as they come and go, and others left alone', async () => {
  await writeFile(join(folder, 'b.yaml'), service('b'));
  await writeFile(join(folder, 'a.yml'), service('a'));
  await writeFile(join(folder, 'README.md'), 'no: [yaml');
  await writeFile(join(folder, '.hidden.yaml'), 'no: [yaml');
  await mkdir(join(folder, 'folder.yaml'));
  start(watched(folder));
  await untilServices('a:80', 'b:80');
  await writeFile(
    join(folder, 'c.json'),
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'c' },
      spec: { ports: [{ port: 1 }] },
    }),
  );
  await untilServices('a:80', 'b:80', 'c:1');
  await unlink(join(folder, 'b.yaml'));
  await untilServices('a:80', 'c:1');
});

test('a file that is replaced, as editors save, is followed', async () => {
  const file = join(folder, 'mesh.yaml');
  await writeFile(file, service('a', 1));
  start(watched(file));
  await untilServices('a:1');
  for (const port of [2, 3]) {
    await writeFile(`${file}~`, service('a', port));
    await rename(`${file}~`, file);
    await untilServices(`a:${port}`);
  }
});

test('a bad file leaves the last good configuration in force until it is repaired', async () => {
  const file = join(folder, 'mesh.yaml');
  await writeFile(file, service('a', 1));
  start(watched(file));
  await untilServices('a:1');
  await writeFile(file, `${service('a', 2)}spec2: {}\nnot yaml`);
  const rejected = await untilSet(store.lastRejected);
  expect(rejected?.violations[0]?.origin.file).toBe(file);
  await untilServices('a:1');
  await writeFile(file, service('a', 3));
  await untilServices('a:3');
  expect(store.lastRejected.value).toBeUndefined();
});

test('a file that vanishes is an error with its name, and it may come back', async () => {
  const file = join(folder, 'mesh.yaml');
  await writeFile(file, service('a'));
  start(watched(file));
  await untilServices('a:80');
  await unlink(file);
  const rejected = await untilSet(store.lastRejected);
  expect(rejected?.violations).toMatchObject([
    {
      code: 'INMESH_CONFIG_READ',
      message: 'cannot be read: there is no such file or directory',
      origin: { file },
    },
  ]);
  await writeFile(file, service('b'));
  await untilServices('b:80');
});

test('a directory may appear after the start, and be replaced by another', async () => {
  const directory = join(folder, 'mesh.d');
  start(watched(directory));
  await untilSet(store.lastRejected);
  await mkdir(directory);
  await writeFile(join(directory, 'a.yaml'), service('a'));
  await untilServices('a:80');
  await rename(directory, join(folder, 'old'));
  await mkdir(directory);
  await writeFile(join(directory, 'b.yaml'), service('b'));
  await untilServices('b:80');
  await writeFile(join(directory, 'c.yaml'), service('c'));
  await untilServices('b:80', 'c:80');
});

test('the swap of a link to a directory, as Kubernetes mounts a ConfigMap, is followed', async () => {
  for (const version of [1, 2]) {
    await mkdir(join(folder, `..v${version}`));
    await writeFile(join(folder, `..v${version}`, 'mesh.yaml'), service('a', version));
  }
  await symlink('..v1', join(folder, '..data'));
  await symlink('..data/mesh.yaml', join(folder, 'mesh.yaml'));
  start(watched(join(folder, 'mesh.yaml')));
  await untilServices('a:1');
  await symlink('..v2', join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  await untilServices('a:2');
});

test('without a word of the operating system, changes are found by looking', async () => {
  const target = join(folder, 'target.yaml');
  await writeFile(target, service('a', 1));
  const elsewhere = join(folder, 'elsewhere');
  await mkdir(elsewhere);
  // The watched directory has a link only: changes behind it are not reported.
  await symlink(target, join(elsewhere, 'mesh.yaml'));
  start(createFileSource({ paths: [join(elsewhere, 'mesh.yaml')], pollMs: 30 }, systemClock));
  await untilServices('a:1');
  await writeFile(target, service('a', 2));
  await untilServices('a:2');
});

test('looking again and finding the same proposes nothing', async () => {
  const [file, other] = [join(folder, 'mesh.yaml'), join(folder, 'other.yaml')];
  await writeFile(file, 'kind: Nothing');
  const POLL_MS = 11;
  const proposals: number[] = [];
  let polls = 0;
  // Every look asks the clock for the next one.
  const clock = {
    ...systemClock,
    schedule: (delayMs: number, task: () => void) => {
      if (delayMs === POLL_MS && ++polls === 10) writeFileSync(other, service('a'));
      return systemClock.schedule(delayMs, task);
    },
  };
  const source = createFileSource({ paths: [folder], pollMs: POLL_MS, quietMs: 1 }, clock);
  await new Promise<void>((resolve) => {
    const propose = (_: string, { files }: { readonly files: readonly unknown[] }): void => {
      proposals.push(files.length);
      if (files.length === 2) resolve();
    };
    running.push(source.run({ propose }, controller.signal));
  });
  expect(polls).toBeGreaterThanOrEqual(10);
  expect(proposals).toEqual([1, 2]);
});

test('a run ends when it is told to, also before it began', async () => {
  await writeFile(join(folder, 'mesh.yaml'), service('a'));
  const source = watched(folder);
  start(source);
  await untilServices('a:80');
  controller.abort();
  await Promise.all(running);
  await source.run(store, controller.signal);
});

test('a mistake behind the sink ends the run with it', async () => {
  const sink = {
    propose() {
      throw new Error('broken sink');
    },
  };
  await expect(watched(folder).run(sink, controller.signal)).rejects.toThrow('broken sink');
});

test('configuration from code goes the same way', async () => {
  const source = createMemorySource([
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { ports: [{ port: 1 }] } },
  ]);
  start(source);
  await untilServices('a:1');
  source.set(service('b', 2));
  await untilServices('b:2');
  source.set([{ apiVersion: 'v1', kind: 'Servise', metadata: { name: 'a' } }]);
  expect(store.lastRejected.value?.violations).toMatchObject([
    { origin: { file: 'memory', line: 3, column: 11 } },
  ]);
});
