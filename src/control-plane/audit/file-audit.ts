import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../../runtime/clock.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import { type AuditLog, type AuditRecord, auditLine } from './audit-log.js';

/** Where an audit log is kept. */
export interface FileAuditOptions {
  /** A file of JSON lines, mode 0600; it is appended to. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A file of that many bytes becomes `<path>.1`, and older ones move up. Default 64 MiB. */
  readonly maxBytes?: number;
  /** How many older files are kept. Default 10. */
  readonly keep?: number;
}

const MAX_BYTES = 64 * 1024 * 1024;
/** Records that nobody waits for, while the disk is slower than they come. */
const MAX_WAITING_NOTES = 1_000;

interface Waiting {
  readonly line: string;
  readonly done?: { resolve(): void; reject(error: unknown): void };
}

/**
 * Opens the audit log. A line that a crash cut in half stays as it is; the next begins on a line of its own.
 * @throws MeshError `INMESH_STORE_WRITE`.
 */
export async function createFileAudit(options: FileAuditOptions): Promise<AuditLog> {
  const log = new FileAudit(options);
  await log.open();
  return log;
}

class FileAudit implements AuditLog {
  readonly #options: FileAuditOptions;
  #file: FileHandle | undefined;
  #bytes = 0;
  #sequence = 0;
  #waiting: Waiting[] = [];
  #notes = 0;
  #left = 0;
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(options: FileAuditOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { path } = this.#options;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(path, 'a+', 0o600);
      this.#file = file;
      this.#bytes = (await file.stat()).size;
      if (this.#bytes === 0) return;
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, this.#bytes - 1);
      if (buffer[0] !== 0x0a) this.#bytes += (await file.write('\n')).bytesWritten;
    } catch (cause) {
      throw this.#failure(cause);
    }
  }

  record(record: AuditRecord): Promise<void> {
    if (this.#closed) return Promise.reject(this.#failure(new Error('it is closed')));
    return new Promise((resolve, reject) => {
      this.#add(record, { resolve, reject });
    });
  }

  note(record: AuditRecord): void {
    if (this.#closed) return;
    if (this.#notes >= MAX_WAITING_NOTES) {
      this.#left++;
      return;
    }
    this.#notes++;
    this.#add(record);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  #add(record: AuditRecord, done?: Waiting['done']): void {
    const line = auditLine(record, this.#sequence++, this.#options.clock.wallTime());
    this.#waiting.push(done === undefined ? { line } : { line, done });
    this.#writing ??= this.#write();
  }

  /** Whatever came while the disk was busy goes to it together: one sync serves all who wait. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        await this.#append(Buffer.from(batch.map(({ line }) => line).join('')));
        for (const { done } of batch) done?.resolve();
      } catch (cause) {
        const error = this.#failure(cause);
        this.#options.logger.error({ error: messageOf(error) }, 'the audit log can not be written');
        for (const { done } of batch) done?.reject(error);
      }
    }
    // In the same turn as the last look at what waits: nothing is added to a queue that nobody writes.
    this.#writing = undefined;
  }

  #take(): readonly Waiting[] {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#notes = 0;
    if (this.#left === 0) return batch;
    const left: AuditRecord = {
      action: 'audit.left-out',
      outcome: 'failed',
      details: { records: this.#left },
    };
    this.#left = 0;
    return [...batch, { line: auditLine(left, this.#sequence++, this.#options.clock.wallTime()) }];
  }

  async #append(bytes: Buffer): Promise<void> {
    const { path, maxBytes = MAX_BYTES } = this.#options;
    if (this.#file !== undefined && this.#bytes > 0 && this.#bytes + bytes.length > maxBytes) {
      await this.#file.close();
      this.#file = undefined;
      await this.#moveUp();
    }
    this.#file ??= await this.#openNew(path);
    await this.#file.appendFile(bytes);
    await this.#file.datasync();
    this.#bytes += bytes.length;
  }

  async #openNew(path: string): Promise<FileHandle> {
    const file = await open(path, 'a', 0o600);
    this.#bytes = (await file.stat()).size;
    return file;
  }

  async #moveUp(): Promise<void> {
    const { path, keep = 10 } = this.#options;
    await rm(`${path}.${keep}`, { force: true });
    for (let number = keep - 1; number >= 1; number--)
      await rename(`${path}.${number}`, `${path}.${number + 1}`).catch(() => {});
    await (keep > 0 ? rename(path, `${path}.1`) : rm(path));
  }

  #failure(cause: unknown): MeshError {
    return new MeshError('INMESH_STORE_WRITE', 'the audit log can not be written', {
      resource: this.#options.path,
      cause,
      hint: 'Make the folder writable for this user and its disk not full: what has to be recorded is refused until then',
    });
  }
}
