import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keepRegistry } from '../../../src/control-plane/registry/keep-registry.js';
import { createRegistry } from '../../../src/control-plane/registry/registry.js';
import { workloadsIn } from '../../../src/control-plane/registry/snapshot.js';
import { createWorkload } from '../../../src/control-plane/registry/workload.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'inmesh-registry-'));
});

afterEach(() => rm(directory, { recursive: true }));

async function start() {
  const clock = createFakeClock();
  const registry = createRegistry({ graceMs: 2_000 }, clock);
  const kept = await keepRegistry(registry, directory, { clock, logger: silentLogger });
  return {
    clock,
    registry,
    kept,
    ports: () => [...workloadsIn(registry.current.value)].map(({ port }) => port),
  };
}

const workload = (port: number) => createWorkload('a', { service: 'reviews', address: '127.0.0.1', port });

test('workloads are there again after a restart, equal in every field', async () => {
  const first = await start();
  first.registry.lease('a').update([workload(1), workload(2)]);
  await first.kept.close();
  const second = await start();
  expect([...workloadsIn(second.registry.current.value)]).toEqual([workload(1), workload(2)]);
});

test('a workload that connects again takes over without a gap, one that does not is gone after a minute', async () => {
  const first = await start();
  first.registry.lease('a').update([workload(1)]);
  first.registry.lease('b').update([{ ...workload(2), owner: 'b' }]);
  await first.kept.close();
  const { registry, clock, ports } = await start();
  registry.lease('a').update([workload(1)]);
  await clock.advance(59_999);
  expect(ports()).toEqual([1, 2]);
  await clock.advance(1);
  expect(ports()).toEqual([1]);
});

test('a workload that left is not there after a restart', async () => {
  const first = await start();
  const lease = first.registry.lease('a');
  lease.update([workload(1)]);
  lease.update([]);
  await first.kept.close();
  expect((await start()).ports()).toEqual([]);
});

test.each(['{', '[{"owner":"a"}]', '[{"owner":"a","service":"../x"}]'])(
  'a file that holds %s is none, and is replaced',
  async (content) => {
    await writeFile(join(directory, 'registry.json'), content);
    const { registry, kept, ports } = await start();
    expect(ports()).toEqual([]);
    registry.lease('a').update([workload(1)]);
    await kept.close();
    expect(JSON.parse(await readFile(join(directory, 'registry.json'), 'utf8'))).toHaveLength(1);
  },
);
