import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../runtime/atomic-file.js';
import { codeOf, MeshError } from '../../runtime/errors.js';
import { withFileLock } from '../../runtime/file-lock.js';
import { readSecretFile } from './private-key.js';
import type { CaStore } from './root.js';

const FILE = 'ca.json';
/** Where the first versions kept a key with its root. */
const OLD_FILE = 'ca.pem';

/** Keeps everything of an authority in one file (mode 0600) of a directory: a crash leaves the old state or the new one. */
export function createDirectoryCaStore(directory: string): CaStore {
  const path = join(directory, FILE);
  const oldPath = join(directory, OLD_FILE);
  return {
    async load() {
      return (await readIfThere(path)) ?? (await readIfThere(oldPath));
    },
    async save(text) {
      try {
        await writeFileAtomic(path, [Buffer.from(text)], { mode: 0o600 });
        await rm(oldPath, { force: true });
      } catch (error) {
        throw new MeshError('INMESH_STORE_WRITE', 'the certificate authority could not be saved', {
          resource: path,
          cause: error,
          hint: 'Make the folder writable for this user and its disk not full, or run without a data folder',
        });
      }
    },
    exclusively: (work) => withFileLock(`${path}.lock`, work),
    async stamp() {
      try {
        const { ino, mtimeMs, size } = await stat(path);
        return `${ino}:${mtimeMs}:${size}`;
      } catch {
        return '';
      }
    },
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    // A missing file is no file with a bad mode: it is asked for first.
    await stat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
  }
  try {
    return (await readSecretFile(path)).toString('utf8');
  } catch (error) {
    throw new MeshError('INMESH_STORE_CORRUPT', 'the certificate authority cannot be read', {
      resource: path,
      cause: error,
      hint: 'Give this user, and nobody else, read access to the file (chmod 600); it is not replaced, because every workload trusts it',
    });
  }
}
