import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDir } from '../../runtime/atomic-file.js';
import { codeOf, MeshError, messageOf } from '../../runtime/errors.js';
import { readJournal, recordLine } from './journal-format.js';

/** What of the platform a journal writes with; tests make it fail. */
export interface JournalDisk {
  writeSync(fd: number, bytes: Buffer, offset: number, length: number, position: number): number;
  fsyncSync(fd: number): void;
  ftruncateSync(fd: number, length: number): void;
}

const PLATFORM: JournalDisk = { writeSync, fsyncSync, ftruncateSync };

/** How a record is written. */
export interface AppendOptions {
  /** Whether it has to be on the disk now; else it may come there with the next one that has to. Default true. */
  readonly isUrgent?: boolean;
}

/** What a journal is opened with. */
export interface JournalOptions {
  /** Default the platform's. */
  readonly disk?: JournalDisk | undefined;
  /** Whether the folder is this process's still. Default it is. */
  readonly isOurs?: (() => boolean) | undefined;
}

/** Records that outlive the process, oldest first, behind a snapshot that stands for all before them. */
export interface Journal {
  /** What was there at the start. */
  readonly snapshot: unknown;
  readonly records: readonly unknown[];
  /** Bytes cut off at the start: a record that a crash left unfinished. */
  readonly tornBytes: number;
  /** Bytes written since the snapshot. */
  readonly sizeBytes: number;
  /**
   * Writes a record; it is on the disk when this returns. It does not wait for its turn, so that nothing comes between a
   * check and its record.
   * @throws MeshError `INMESH_STORE_WRITE`; then the record does not count, and those before it are safe.
   */
  append(record: unknown, options?: AppendOptions): void;
  /**
   * Replaces all records by a snapshot.
   * @throws MeshError `INMESH_STORE_WRITE`; then the records are still there.
   */
  compact(snapshot: unknown): void;
  close(): void;
}

const JOURNAL = 'journal.log';
const SNAPSHOT = 'snapshot.json';
/** What was cut off at the last start that had to. */
const CUT = 'journal.cut';

/**
 * Opens the journal of a folder, which this process alone uses.
 * @throws MeshError `INMESH_STORE_CORRUPT` when what was acknowledged can't be read; nothing is thrown away then.
 */
export async function openJournal(
  directory: string,
  { disk = PLATFORM, isOurs = () => true }: JournalOptions = {},
): Promise<Journal> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, JOURNAL);
  const snapshot = await readSnapshot(join(directory, SNAPSHOT));
  const bytes = await readIfThere(path);
  const { records, goodBytes, damaged } = readJournal(bytes ?? Buffer.alloc(0));
  if (damaged !== undefined) throw damage(path, damaged);
  const fd = openSync(path, bytes === undefined ? 'w+' : 'r+', 0o600);
  const tornBytes = (bytes?.length ?? 0) - goodBytes;
  try {
    if (tornBytes > 0) {
      // Whatever it was: nothing is thrown away.
      replaceFile(join(directory, CUT), bytes?.subarray(goodBytes) ?? Buffer.alloc(0));
      ftruncateSync(fd, goodBytes);
      fsyncSync(fd);
    }
    // The name of a new file is on the disk once its folder is.
    if (bytes === undefined) {
      fsyncSync(fd);
      await syncDir(directory);
      await syncDir(dirname(directory));
    }
  } catch (error) {
    closeSync(fd);
    throw unwritable(path, error);
  }
  return new DiskJournal({
    directory,
    fd,
    disk,
    isOurs,
    snapshot,
    records: records.map(({ value }) => value),
    tornBytes,
    goodBytes,
  });
}

/** The journal of a folder that somebody else writes: it can be read, and refuses what is appended. */
export async function readJournalOnly(directory: string, holder?: string): Promise<Journal> {
  const { snapshot, bytes } = await readTogether(directory);
  const path = join(directory, JOURNAL);
  const { records, damaged } = readJournal(bytes);
  if (damaged !== undefined) throw damage(path, damaged);
  const refuse = (): never => {
    throw followed(directory, holder);
  };
  return {
    snapshot,
    records: records.map(({ value }) => value),
    tornBytes: 0,
    sizeBytes: 0,
    append: refuse,
    compact: refuse,
    close() {},
  };
}

/** So often somebody may put a snapshot in the place of the journal while both are read. */
const MAX_ATTEMPTS = 10;

/** The snapshot, and the records behind that one. */
async function readTogether(
  directory: string,
): Promise<{ readonly snapshot: unknown; readonly bytes: Buffer }> {
  const path = join(directory, SNAPSHOT);
  for (let attempt = 1; ; attempt++) {
    const before = await readIfThere(path);
    const bytes = (await readIfThere(join(directory, JOURNAL))) ?? Buffer.alloc(0);
    const after = await readIfThere(path);
    const isSame = before === undefined ? after === undefined : after?.equals(before) === true;
    if (isSame || attempt === MAX_ATTEMPTS) return { snapshot: await readSnapshot(path), bytes };
  }
}

/** Changes when the files of a journal do. */
export function journalStamp(directory: string): string {
  return [JOURNAL, SNAPSHOT]
    .map((name) => {
      const found = statSync(join(directory, name), { throwIfNoEntry: false });
      return found === undefined ? '' : `${found.ino} ${found.size} ${found.mtimeMs}`;
    })
    .join('\n');
}

interface Opened {
  readonly directory: string;
  readonly fd: number;
  readonly disk: JournalDisk;
  readonly isOurs: () => boolean;
  readonly snapshot: unknown;
  readonly records: readonly unknown[];
  readonly tornBytes: number;
  readonly goodBytes: number;
}

class DiskJournal implements Journal {
  readonly snapshot: unknown;
  readonly records: readonly unknown[];
  readonly tornBytes: number;
  readonly #directory: string;
  readonly #disk: JournalDisk;
  readonly #isOurs: () => boolean;
  readonly #fd: number;
  #size: number;
  /** After a failed sync nobody knows what the disk has: until the next start nothing is written. */
  #broken: MeshError | undefined;
  #isClosed = false;

  constructor(opened: Opened) {
    this.snapshot = opened.snapshot;
    this.records = opened.records;
    this.tornBytes = opened.tornBytes;
    this.#directory = opened.directory;
    this.#disk = opened.disk;
    this.#isOurs = opened.isOurs;
    this.#fd = opened.fd;
    this.#size = opened.goodBytes;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  append(record: unknown, { isUrgent = true }: AppendOptions = {}): void {
    this.#check();
    const line = recordLine(record);
    try {
      for (let done = 0; done < line.length; ) {
        const written = this.#disk.writeSync(this.#fd, line, done, line.length - done, this.#size + done);
        if (written === 0) throw new Error('nothing was written');
        done += written;
      }
    } catch (error) {
      this.#undo(error);
    }
    try {
      if (isUrgent) this.#disk.fsyncSync(this.#fd);
    } catch (error) {
      this.#broken = unwritable(this.#path, error);
      throw this.#broken;
    }
    this.#size += line.length;
  }

  compact(snapshot: unknown): void {
    this.#check();
    const path = join(this.#directory, SNAPSHOT);
    try {
      replaceFile(path, recordLine(snapshot));
      // A crash before this leaves records that the snapshot has already: whoever reads them knows by their revisions.
      this.#disk.ftruncateSync(this.#fd, 0);
    } catch (error) {
      throw unwritable(path, error);
    }
    this.#size = 0;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fd);
  }

  #check(): void {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#isClosed) throw unwritable(this.#path, new Error('it is closed'));
    // A process that was stopped for long may find that another one took its place.
    if (!this.#isOurs()) throw followed(this.#directory, undefined);
  }

  get #path(): string {
    return join(this.#directory, JOURNAL);
  }

  /** Takes an unfinished record away; where that fails, the next start does it. */
  #undo(cause: unknown): never {
    const error = unwritable(this.#path, cause);
    try {
      this.#disk.ftruncateSync(this.#fd, this.#size);
    } catch {
      this.#broken = error;
    }
    throw error;
  }
}

/** As `writeFileAtomic`, at once. */
function replaceFile(path: string, bytes: Buffer): void {
  const temporary = `${path}.tmp`;
  try {
    const fd = openSync(temporary, 'w', 0o600);
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (process.platform === 'win32') return;
  const dir = openSync(dirname(path), 'r');
  try {
    fsyncSync(dir);
  } finally {
    closeSync(dir);
  }
}

async function readSnapshot(path: string): Promise<unknown> {
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const { records, goodBytes } = readJournal(bytes);
  // It was written as a whole.
  if (records.length === 1 && goodBytes === bytes.length) return records[0]?.value;
  throw corrupt(path, 'the snapshot is damaged');
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new MeshError('INMESH_STORE_CORRUPT', `it can not be read: ${messageOf(error)}`, {
      resource: path,
      cause: error,
    });
  }
}

function damage(path: string, { record, at }: { readonly record: number; readonly at: number }): MeshError {
  return corrupt(path, `record ${record}, at byte ${at}, is damaged`);
}

function followed(directory: string, holder: string | undefined): MeshError {
  const who = holder === undefined ? 'another control plane' : `another control plane (${holder})`;
  return new MeshError('INMESH_STORE_FOLLOWS', `${who} writes this store`, {
    resource: directory,
    hint: 'Send changes to that one, or give this one a data folder of its own',
  });
}

function corrupt(path: string, what: string): MeshError {
  return new MeshError('INMESH_STORE_CORRUPT', what, {
    resource: path,
    hint: 'Restore the folder from a backup; to go on without what can not be read, move the file away',
  });
}

function unwritable(path: string, cause: unknown): MeshError {
  const isFull = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(cause) ?? '');
  return new MeshError(
    'INMESH_STORE_WRITE',
    isFull ? 'the disk is full: nothing was changed' : `the store can not be written: ${messageOf(cause)}`,
    {
      resource: path,
      cause,
      hint: isFull
        ? 'Make room and try again; what is in force stays, and can be read'
        : 'Check the folder and its disk, then restart the control plane',
    },
  );
}
