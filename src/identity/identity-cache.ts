import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../runtime/atomic-file.js';
import { codeOf, MeshError } from '../runtime/errors.js';
import { createX509Bundle, type X509Bundle } from './bundle.js';
import { revocationList } from './revocation.js';
import { parseX509Svid, type X509Svid } from './x509-svid.js';

const MAX_BYTES = 1024 * 1024;

/** A certificate with its key and the roots it came with. */
export interface CachedIdentity {
  readonly svid: X509Svid;
  readonly bundles: readonly X509Bundle[];
}

/** Keeps the last identity between starts, so that a workload starts while its authority is down. */
export interface IdentityCache {
  /** What was saved last, or undefined; refused with INMESH_CACHE_CORRUPT when it cannot be trusted. */
  load(): Promise<CachedIdentity | undefined>;
  /** Refused with INMESH_CACHE_WRITE when it cannot be written. */
  save(identity: CachedIdentity): Promise<void>;
}

/** Where an identity is kept, and whose it is. */
export interface IdentityCacheOptions {
  /** Made with mode 0700 when it is missing. */
  readonly dir: string;
  /** Tells identities apart that share a folder. */
  readonly key: string;
}

interface SavedBundle {
  readonly trustDomain: string;
  readonly authorities: readonly string[];
  readonly revoked?: {
    readonly serials: readonly string[];
    readonly ids: readonly string[];
    readonly keys: readonly string[];
  };
}

interface Saved {
  readonly certificates: readonly string[];
  readonly privateKey: string;
  readonly bundles: readonly SavedBundle[];
}

/** A cache in one file of mode 0600: key and certificates are replaced together or not at all. */
export function createIdentityCache({ dir, key }: IdentityCacheOptions): IdentityCache {
  const path = join(dir, `identity-${key.replace(/[^A-Za-z0-9._-]/g, '_')}.json`);
  return {
    async load() {
      const text = await readPrivate(path);
      return text === undefined ? undefined : decode(text, path);
    },
    async save(identity) {
      try {
        await writeFileAtomic(path, [Buffer.from(encode(identity))], { mode: 0o600, dirMode: 0o700 });
      } catch (error) {
        throw new MeshError('INMESH_CACHE_WRITE', 'the identity could not be saved', {
          resource: path,
          cause: error,
          hint: 'Make the folder writable for this user; until then a restart needs the certificate authority',
        });
      }
    },
  };
}

function encode({ svid, bundles }: CachedIdentity): string {
  const saved: Saved = {
    certificates: svid.certificatesPem,
    privateKey: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    bundles: bundles.map(({ trustDomain, authorities, revoked }) => ({
      trustDomain,
      authorities,
      ...(revoked !== undefined && {
        revoked: { serials: [...revoked.serials], ids: [...revoked.ids], keys: [...revoked.keys] },
      }),
    })),
  };
  const body = JSON.stringify(saved);
  return `${checksum(body)}\n${body}\n`;
}

function decode(text: string, path: string): CachedIdentity {
  const [sum = '', body = ''] = text.split('\n', 2);
  if (sum !== checksum(body)) throw corrupt(path, 'its checksum is wrong');
  try {
    // The checksum proves that `encode` wrote it.
    const saved = JSON.parse(body) as Saved;
    return {
      svid: parseX509Svid(saved.certificates, saved.privateKey),
      bundles: saved.bundles.map(({ trustDomain, authorities, revoked }) =>
        createX509Bundle(trustDomain, authorities, revoked && revocationList(revoked)),
      ),
    };
  } catch (error) {
    throw corrupt(path, 'it does not hold an identity', error);
  }
}

async function readPrivate(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      const { mode, size } = await file.stat();
      // On Windows the mode says nothing.
      const isShared = process.platform !== 'win32' && (mode & 0o077) !== 0;
      if (isShared) throw corrupt(path, 'other users can read its private key');
      if (size > MAX_BYTES) throw corrupt(path, 'it is too large');
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw MeshError.is(error) ? error : corrupt(path, 'it cannot be read', error);
  }
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

function corrupt(path: string, why: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_CACHE_CORRUPT', `the saved identity is not used: ${why}`, {
    resource: path,
    cause,
    hint: 'Delete the file; it is written again with the next certificate',
  });
}
