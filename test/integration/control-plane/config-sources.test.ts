import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFileSource } from '../../../src/control-plane/sources/file-source.js';
import { createMemorySource } from '../../../src/control-plane/sources/memory-source.js';
import { History } from '../../../src/control-plane/store/history.js';
import { type Journal, openJournal } from '../../../src/control-plane/store/journal.js';
import { ObjectStore } from '../../../src/control-plane/store/object-store.js';
import { createControlPlane } from '../../../src/control-plane.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { configSourceSuite, type TestedSource } from '../../unit/control-plane/sources/source-suite.js';

configSourceSuite('a source in memory', () => createMemorySource([]));

configSourceSuite('a source of files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-source-'));
  const file = join(folder, 'mesh.yaml');
  const source = createFileSource({ paths: [folder], pollMs: 3_600_000, quietMs: 5 }, systemClock);
  return {
    run: (store, signal) => source.run(store, signal),
    set(documents) {
      // As editors and kubectl's ConfigMaps do: a file is there as a whole.
      writeFileSync(`${file}.new`, documents.map((one) => JSON.stringify(one)).join('\n---\n'));
      renameSync(`${file}.new`, file);
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
});

interface Named {
  readonly kind: 'Service';
  readonly metadata: { readonly namespace: string; readonly name: string };
}

/** What clients push by HTTP ends in the store of objects, behind its journal. */
configSourceSuite('objects in the store', () => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-source-'));
  let writing: ObjectStore | undefined;
  let wanted: readonly Named[] = [];
  const source: TestedSource = {
    async run(store, signal) {
      if (signal.aborted) return;
      const journal: Journal = await openJournal(folder);
      const tools = { store, history: new History(), journal, clock: systemClock, logger: silentLogger };
      writing = new ObjectStore(tools);
      write();
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      writing = undefined;
      journal.close();
    },
    set(documents) {
      // All documents of the suite are Services with a name.
      wanted = documents as readonly Named[];
      write();
    },
    refused: () => Promise.resolve(),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
  let written: readonly Named[] = [];
  function write(): void {
    if (writing === undefined) return;
    const names = new Set(wanted.map(({ metadata }) => metadata.name));
    const gone = written.filter(({ metadata }) => !names.has(metadata.name));
    const result = writing.apply({
      changes: [
        ...wanted.map((object) => ({ op: 'apply' as const, object })),
        ...gone.map(({ kind, metadata: { namespace, name } }) => ({
          op: 'delete' as const,
          kind,
          namespace,
          name,
        })),
      ],
    });
    if (result.kind === 'accepted') written = wanted;
  }
  return source;
});

test('a control plane has as many sources as it is given, without a warning of leaks', async ({
  onTestFinished,
}) => {
  const warnings: string[] = [];
  const hear = ({ name }: Error) => warnings.push(name);
  process.on('warning', hear);
  onTestFinished(() => {
    process.off('warning', hear);
  });
  const plane = await createControlPlane({
    sources: Array.from({ length: 12 }, (_, at) => createMemorySource([], `source-${at}`)),
    ports: { xds: 0, secureXds: 0, http: 0 },
    logger: silentLogger,
  });
  await plane.close();
  expect(warnings).toEqual([]);
});
