import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { openStore } from '../../../src/control-plane/open-store.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

const root = mkdtempSync(join(tmpdir(), 'inmesh-store-model-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;

const open = (dataDir: string) =>
  openStore({ dataDir, massRemoval: false, clock: createFakeClock(), logger: silentLogger });
type Opened = Awaited<ReturnType<typeof open>>;

const NAMES = ['a', 'b', 'c', 'd'] as const;
const service = (name: string, port: number, resourceVersion?: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, ...(resourceVersion !== undefined && { resourceVersion }) },
  spec: { ports: [{ name: 'http', port }] },
});

const name = fc.constantFrom(...NAMES);
const port = fc.integer({ min: 1, max: 3 });
const change = fc.oneof(
  fc.record({ op: fc.constant('put' as const), name, port, version: fc.constantFrom('none', 'seen', 'old') }),
  fc.record({ op: fc.constant('delete' as const), name }),
);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      changes: fc.array(change, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const), back: fc.nat(4) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('files' as const), names: fc.subarray([...NAMES]), port }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** What a store of objects and files is, in the plainest words. */
class Model {
  objects = new Map<string, { port: number; revision: number }>();
  files = new Map<string, number>();
  revision = 0;
  /** Of objects, by revision. */
  past = new Map<number, ReadonlyMap<string, number>>([[0, new Map()]]);

  ports(): Record<string, number> {
    const own = [...this.objects].map(([key, one]) => [`own-${key}`, one.port] as const);
    return Object.fromEntries([
      ...[...this.files].map(([key, one]) => [`file-${key}`, one] as const),
      ...own,
    ]);
  }

  remember(): void {
    this.past.set(this.revision, new Map([...this.objects].map(([key, one]) => [key, one.port])));
  }
}

const shown = ({ store }: Opened): Record<string, number> =>
  Object.fromEntries(
    store.current.value.list('Service').map((one) => [one.name, one.spec.ports?.[0]?.port ?? 0]),
  );

function batch(world: Opened, model: Model, changes: Extract<Step, { kind: 'batch' }>['changes']): void {
  const names = changes.map((one) => one.name);
  if (new Set(names).size < names.length) return;
  let isConflict = false;
  let isMissing = false;
  const wanted = changes.map((one) => {
    const key = `own-${one.name}`;
    const known = model.objects.get(one.name);
    if (one.op === 'delete') {
      isMissing ||= known === undefined;
      return { op: 'delete', kind: 'Service', namespace: 'default', name: key } as const;
    }
    const version = { none: undefined, seen: String(known?.revision ?? 1), old: '999' }[one.version];
    isConflict ||= version !== undefined && version !== String(known?.revision);
    return { op: 'apply', object: service(key, one.port, version) } as const;
  });
  const result = world.objects.apply({ changes: wanted });
  expect(result.kind).toBe(isConflict ? 'conflict' : isMissing ? 'missing' : 'accepted');
  if (result.kind !== 'accepted') return;
  const isNews = changes.some((one) => one.op === 'delete' || model.objects.get(one.name)?.port !== one.port);
  if (isNews) model.revision++;
  expect(result.revision).toBe(model.revision);
  for (const one of changes) {
    if (one.op === 'delete') model.objects.delete(one.name);
    else if (model.objects.get(one.name)?.port !== one.port)
      model.objects.set(one.name, { port: one.port, revision: model.revision });
  }
  if (isNews) model.remember();
}

/** As the control plane does it: the difference to then, back. */
function rollback(world: Opened, model: Model, to: number): void {
  const then = model.past.get(to);
  const back = world.history.between(model.revision, to);
  expect(back === undefined).toBe(false);
  const own = (back ?? []).filter((one) => one.name.startsWith('own-'));
  if (own.length === 0) return;
  const result = world.objects.apply({
    changes: own.map(({ kind, namespace, name, after }) =>
      after === undefined
        ? { op: 'delete' as const, kind, namespace, name }
        : { op: 'apply' as const, object: after },
    ),
  });
  expect(result.kind).toBe('accepted');
  model.revision++;
  for (const key of NAMES) {
    const [was, is] = [then?.get(key), model.objects.get(key)?.port];
    if (was === undefined) model.objects.delete(key);
    else if (was !== is) model.objects.set(key, { port: was, revision: model.revision });
  }
  model.remember();
}

function files(world: Opened, model: Model, { names, port }: Extract<Step, { kind: 'files' }>): void {
  const content = names.map((one) => JSON.stringify(service(`file-${one}`, port))).join('\n---\n');
  const next = new Map(names.map((one) => [one as string, port]));
  const isNews = JSON.stringify([...next].sort()) !== JSON.stringify([...model.files].sort());
  expect(world.store.propose('files', { files: [{ file: 'mesh.yaml', content }] }).accepted).toBe(true);
  model.files = next;
  if (isNews) model.revision++;
  model.remember();
}

test('a store is what its model is, whatever is done to it, also across restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      const folder = join(root, String(folders++));
      const model = new Model();
      let world = await open(folder);
      try {
        for (const one of steps) {
          if (one.kind === 'batch') batch(world, model, one.changes);
          else if (one.kind === 'files') files(world, model, one);
          else if (one.kind === 'rollback') rollback(world, model, Math.max(0, model.revision - one.back));
          else {
            await world.close();
            world = await open(folder);
          }
          expect(shown(world)).toEqual(model.ports());
          expect(world.store.current.value.revision).toBe(model.revision);
          for (const [key, { revision }] of model.objects)
            expect(
              world.history.versionOf({ kind: 'Service', namespace: 'default', name: `own-${key}` }),
            ).toBe(revision);
        }
      } finally {
        await world.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    {
      numRuns: 20,
      examples: [
        [
          [
            { kind: 'files', names: ['d'], port: 1 },
            { kind: 'files', names: [], port: 1 },
            { kind: 'restart' },
          ],
        ],
      ],
    },
  );
});
