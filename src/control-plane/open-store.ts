import { join } from 'node:path';
import type { Clock } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import { withFileLock } from '../runtime/file-lock.js';
import type { Logger } from '../runtime/log.js';
import { recordSources } from './config/config-service.js';
import { type ConfigStore, createConfigStore } from './store/config-store.js';
import { History } from './store/history.js';
import { type Journal, openJournal, readJournalOnly } from './store/journal.js';
import type { MassRemovalOptions } from './store/mass-removal.js';
import { ObjectStore } from './store/object-store.js';

/** The configuration of a control plane: what is in force, the objects of its own, and how it all came. */
export interface OpenedStore {
  readonly store: ConfigStore;
  readonly objects: ObjectStore;
  readonly history: History;
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
 * Opens the store of a control plane. Of several with one folder, the first writes; the others read what is there.
 * @throws MeshError `INMESH_STORE_CORRUPT`, `INMESH_STORE_WRITE`.
 */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { dataDir, massRemoval = {}, clock, logger } = options;
  const store = createConfigStore({ clock, logger }, massRemoval === false ? {} : { massRemoval });
  const history = new History();
  const stop = recordSources(store, history, clock);
  const { journal, release } =
    dataDir === undefined ? IN_MEMORY : await openFolder(join(dataDir, 'config'), logger);
  try {
    const objects = new ObjectStore({ store, history, journal, clock, logger });
    return {
      store,
      objects,
      history,
      async close() {
        stop();
        journal?.close();
        await release();
      },
    };
  } catch (error) {
    journal?.close();
    await release();
    throw error;
  }
}

interface Folder {
  readonly journal: Journal | undefined;
  readonly release: () => Promise<void>;
}

const NOTHING = async () => {};
const IN_MEMORY: Folder = { journal: undefined, release: NOTHING };

async function openFolder(directory: string, logger: Logger): Promise<Folder> {
  let release: () => Promise<void>;
  try {
    release = await holdLock(join(directory, 'lock'));
  } catch (error) {
    logger.warn(
      { directory, error: messageOf(error) },
      'another control plane writes the store; here it is read only',
    );
    return { journal: await readJournalOnly(directory), release: NOTHING };
  }
  try {
    return { journal: await openJournal(directory), release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Takes a lock for as long as the process wants. */
function holdLock(path: string): Promise<() => Promise<void>> {
  return new Promise((resolve, reject) => {
    let free = () => {};
    const freed = new Promise<void>((done) => {
      free = done;
    });
    const held = withFileLock(
      path,
      () => {
        resolve(async () => {
          free();
          await held;
        });
        return freed;
      },
      { timeoutMs: LOCK_WAIT_MS },
    );
    held.catch(reject);
  });
}
