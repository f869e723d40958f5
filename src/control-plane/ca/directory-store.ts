import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../runtime/atomic-file.js';
import { codeOf, MeshError } from '../../runtime/errors.js';
import type { CaStore } from './root.js';

const FILE = 'ca.pem';

/** Keeps an authority's key and root in one file (mode 0600) of a directory, so that they are never of two roots. */
export function createDirectoryCaStore(directory: string): CaStore {
  const path = join(directory, FILE);
  return {
    async load() {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return undefined;
        throw new MeshError('INMESH_STORE_CORRUPT', 'the certificate authority cannot be read', {
          resource: path,
          cause: error,
          hint: 'Give this user read access to the file; it is not replaced, because every workload trusts it',
        });
      }
    },
    async save(pem) {
      try {
        await writeFileAtomic(path, [Buffer.from(pem)], { mode: 0o600 });
      } catch (error) {
        throw new MeshError('INMESH_STORE_WRITE', 'the certificate authority could not be saved', {
          resource: path,
          cause: error,
          hint: 'Make the folder writable for this user and its disk not full, or run without a data folder',
        });
      }
    },
  };
}
