import { open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../runtime/atomic-file.js';
import { codeOf, MeshError } from '../../runtime/errors.js';
import type { JoinTokenRecord, JoinTokenStore } from './join-tokens.js';

/** Keeps join tokens for as long as the process lives. */
export function createMemoryJoinTokenStore(): JoinTokenStore {
  const records = new Map<string, JoinTokenRecord>();
  return {
    add(record) {
      records.set(record.hash, record);
      return Promise.resolve();
    },
    take(hash) {
      const record = records.get(hash);
      records.delete(hash);
      return Promise.resolve(record);
    },
    list: () => Promise.resolve([...records.values()]),
  };
}

const recordSchema = z.strictObject({
  hash: z.string(),
  id: z.string(),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
});

/**
 * Keeps each token in a file of a folder, named by its hash. Whoever unlinks the file has used the token: the file system
 * lets one succeed, in this process or another, and the folder is synced before the caller hears of it.
 */
export function createDirectoryJoinTokenStore(directory: string): JoinTokenStore {
  const pathOf = (hash: string) => join(directory, `${hash}.json`);
  return {
    async add(record) {
      try {
        await writeFileAtomic(pathOf(record.hash), [Buffer.from(JSON.stringify(record))]);
      } catch (cause) {
        throw failure(directory, cause);
      }
    },
    async take(hash) {
      const record = await readRecord(pathOf(hash), hash);
      try {
        await unlink(pathOf(hash));
      } catch (cause) {
        if (codeOf(cause) === 'ENOENT') return undefined;
        throw failure(directory, cause);
      }
      await syncDirectory(directory);
      return record;
    },
    async list() {
      const names = await readdir(directory).catch((cause: unknown) => {
        if (codeOf(cause) === 'ENOENT') return [];
        throw failure(directory, cause);
      });
      const hashes = names.flatMap((name) => /^([0-9a-f]{64})\.json$/.exec(name)?.[1] ?? []);
      const records = await Promise.all(hashes.map((hash) => readRecord(pathOf(hash), hash)));
      return records.flatMap((record) => record ?? []);
    },
  };
}

/** A file that was changed by hand is no token. */
async function readRecord(path: string, hash: string): Promise<JoinTokenRecord | undefined> {
  try {
    const record = recordSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    return record.hash === hash ? record : undefined;
  } catch {
    return undefined;
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  try {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw failure(path, cause);
  }
}

function failure(directory: string, cause: unknown): MeshError {
  return new MeshError('INMESH_STORE_WRITE', 'the join tokens can not be kept', {
    resource: directory,
    cause,
    hint: 'Make the folder writable for this user and its disk not full',
  });
}
