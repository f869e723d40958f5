import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** How a file is written. */
export interface AtomicWriteOptions {
  /** Permissions of the file; default 0600. */
  readonly mode?: number;
  /** Permissions of its folder when it has to be made; default 0700. */
  readonly dirMode?: number;
}

/**
 * Replaces a file as a whole: readers see the old content or the new, also after a crash or a power cut. The content
 * is on the disk when the promise resolves.
 */
export async function writeFileAtomic(
  path: string,
  parts: readonly Uint8Array[],
  { mode = 0o600, dirMode = 0o700 }: AtomicWriteOptions = {},
): Promise<void> {
  const dir = dirname(path);
  await mkdir(dir, { recursive: true, mode: dirMode });
  // A name of its own, so that writers in several processes never share one.
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeDurably(temporary, parts, mode);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDir(dir);
}

async function writeDurably(path: string, parts: readonly Uint8Array[], mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    for (const part of parts) await writeAll(file, part);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesWritten } = await file.write(bytes, offset, bytes.length - offset);
    offset += bytesWritten;
  }
}

/** A rename is durable only once its folder is on the disk. */
export async function syncDir(path: string): Promise<void> {
  // Windows can't open folders and makes renames durable by itself.
  if (process.platform === 'win32') return;
  const dir = await open(path, 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}
