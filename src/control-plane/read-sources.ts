import type { Clock } from '../runtime/clock.js';
import type { ControlPlaneOptions } from './options.js';
import { createFileSource } from './sources/file-source.js';
import type { ConfigStore } from './store/config-store.js';

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
  const files = options.config ?? [];
  const sources = [
    ...(files.length === 0 ? [] : [createFileSource({ paths: files }, clock)]),
    ...(options.sources ?? []),
  ];
  const ends: Promise<void>[] = [];
  // A source may wait for a file that is being written, and nothing else runs yet that keeps the process.
  const alive = clock.schedule(MAX_FIRST_READ_MS, () => {}, true);
  await Promise.all(
    sources.map(
      (source) =>
        new Promise<void>((resolve, reject) => {
          const end = source.run(
            {
              propose(name, input) {
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
  return { ended: Promise.all(ends) };
}
