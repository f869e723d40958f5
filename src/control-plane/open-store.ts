import { join } from 'node:path';
import type { Clock } from '../runtime/clock.js';
import { type FileLock, holderOf, holdFileLock } from '../runtime/file-lock.js';
import type { Logger } from '../runtime/log.js';
import { followStore } from './follow-store.js';
import { type ConfigStore, createConfigStore } from './store/config-store.js';
import { History } from './store/history.js';
import { type Journal, openJournal, readJournalOnly } from './store/journal.js';
import type { MassRemovalOptions } from './store/mass-removal.js';
import { ObjectStore } from './store/object-store.js';
import { type RecorderTools, recordSources, writeDown } from './store/source-recorder.js';

/** Whether a control plane writes its store, or follows another one that does. */
export interface StoreRole {
  readonly writes: boolean;
  /** Who writes, where it is another process: `process 12 on host`. */
  readonly holder: string | undefined;
  /** Since when it has this role, in milliseconds of Unix time. */
  readonly since: number;
}

/** The configuration of a control plane: what is in force, the objects of its own, and how it all came. */
export interface OpenedStore {
  readonly store: ConfigStore;
  readonly objects: ObjectStore;
  readonly history: History;
  readonly role: () => StoreRole;
  close(): Promise<void>;
}

export interface OpenStoreOptions {
  /** Undefined = in memory. */
  readonly dataDir: string | undefined;
  readonly massRemoval: MassRemovalOptions | false | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Where another control plane has the lock for longer than a moment, it is in use. */
const LOCK_WAIT_MS = 500;

/**
 * Opens the store of a control plane. Of several with one folder the first writes; the others follow what it writes, and
 * one of them takes its place when it ends.
 * @throws MeshError `INMESH_STORE_CORRUPT`, `INMESH_STORE_WRITE`.
 */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { dataDir, massRemoval = {}, clock, logger } = options;
  const store = createConfigStore({ clock, logger }, massRemoval === false ? {} : { massRemoval });
  const history = new History();
  const directory = dataDir === undefined ? undefined : join(dataDir, 'config');
  let folder: Folder = directory === undefined ? IN_MEMORY : await openFolder(directory, options);
  let since = clock.wallTime();
  let objects: ObjectStore;
  try {
    objects = new ObjectStore({ store, history, journal: folder.journal, clock, logger });
  } catch (error) {
    await closeFolder(folder);
    throw error;
  }
  const recorder: RecorderTools = {
    store,
    history,
    clock,
    logger,
    journal: () => (folder.lock === undefined ? undefined : folder.journal),
    kept: () => objects.sources,
    written: () => objects.compact(),
  };
  const stopRecording = recordSources(recorder);
  const following =
    directory === undefined || folder.lock !== undefined
      ? undefined
      : followStore(directory, objects, {
          clock,
          logger,
          takeOver: async () => {
            const taken = await lockFolder(directory, 0, clock);
            if (taken === undefined) return false;
            objects.takeOver(taken.journal);
            folder = taken;
            since = clock.wallTime();
            writeDown(recorder, store.current.value.revision);
            logger.info({ directory }, 'this control plane writes the store now');
            return true;
          },
        });
  return {
    store,
    objects,
    history,
    role: () => {
      const writes = directory === undefined || folder.lock !== undefined;
      return { writes, holder: writes ? undefined : holderOf(join(directory, LOCK)), since };
    },
    async close() {
      stopRecording();
      await following?.close();
      await closeFolder(folder);
    },
  };
}

interface Folder {
  readonly journal: Journal | undefined;
  /** Undefined where another process has it. */
  readonly lock: FileLock | undefined;
}

const IN_MEMORY: Folder = { journal: undefined, lock: undefined };
const LOCK = 'lock';

async function openFolder(directory: string, { clock, logger }: OpenStoreOptions): Promise<Folder> {
  const mine = await lockFolder(directory, LOCK_WAIT_MS, clock);
  if (mine !== undefined) return mine;
  const holder = holderOf(join(directory, LOCK));
  logger.warn({ directory, holder }, 'another control plane writes the store; here it is followed');
  return { journal: await readJournalOnly(directory, holder), lock: undefined };
}

/** The folder for this process alone; undefined where another one has it. */
async function lockFolder(directory: string, timeoutMs: number, clock: Clock) {
  const lock = await holdFileLock(join(directory, LOCK), { timeoutMs, clock });
  if (lock === undefined) return undefined;
  try {
    return { journal: await openJournal(directory, { isOurs: () => lock.isHeld() }), lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function closeFolder({ journal, lock }: Folder): Promise<void> {
  journal?.close();
  await lock?.release();
}
