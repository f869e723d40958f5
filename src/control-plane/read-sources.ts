import type { Clock } from '../runtime/clock.js';
import type { ControlPlaneOptions } from './options.js';
import { createFileSource } from './sources/file-source.js';
import { createMemorySource } from './sources/memory-source.js';
import type { ConfigStore } from './store/config-store.js';
import { STORE_SOURCE } from './store/store-source.js';

interface Reading {
  readonly store: ConfigStore;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Above any time that it takes. */
const MAX_FIRST_READ_MS = 3_600_000;

/** Runs the sources; returns when each has proposed once. */
export async function readSources(
  options: ControlPlaneOptions,
  { store, clock, signal }: Reading,
): Promise<{ readonly ended: Promise<unknown> }> {
  const { config = [] } = options;
  const named = typeof config === 'string' || 'documents' in config ? [config] : config;
  const files = named.filter((one) => typeof one === 'string');
  const sets = named.filter((one) => typeof one !== 'string');
  const sources = [
    ...(files.length === 0 ? [] : [createFileSource({ paths: files }, clock)]),
    ...sets.map((set, index) => createMemorySource(set, index === 0 ? 'mesh' : `mesh-${index + 1}`)),
    ...(options.sources ?? []),
  ];
  const ends: Promise<void>[] = [];
  const names = new Set<string>([STORE_SOURCE]);
  // A source may wait for a file that is being written, and nothing else runs yet that keeps the process.
  const alive = clock.schedule(MAX_FIRST_READ_MS, () => {}, true);
  await Promise.all(
    sources.map(
      (source) =>
        new Promise<void>((resolve, reject) => {
          const end = source.run(
            {
              propose(name, input) {
                names.add(name);
                const result = store.propose(name, input);
                resolve();
                return result;
              },
            },
            signal,
          );
          ends.push(end);
          end.then(resolve, reject);
        }),
    ),
  );
  alive.cancel();
  // Sources of the last start that there are not any more: whoever left them out meant it.
  for (const name of store.inForce.keys())
    if (!names.has(name)) store.propose(name, { files: [] }, { isConfirmed: true });
  return { ended: Promise.all(ends) };
}
