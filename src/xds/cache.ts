import { createHash, webcrypto } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeFileAtomic } from '../runtime/atomic-file.js';
import type { Clock } from '../runtime/clock.js';
import { codeOf, MeshError, messageOf } from '../runtime/errors.js';
import type { StoredResource } from './store.js';

/** A configuration as it was on the disk. */
export interface CachedSnapshot {
  readonly resources: readonly StoredResource[];
  /** Calendar time in milliseconds. */
  readonly savedAt: number;
}

/** Keeps the last good configuration beyond the life of the process. */
export interface SnapshotCache {
  /** Undefined when nothing was ever saved. Rejects with INMESH_CACHE_CORRUPT when what is there can't be trusted. */
  load(): Promise<CachedSnapshot | undefined>;
  /** Replaces it. Rejects with INMESH_CACHE_WRITE. */
  save(resources: readonly StoredResource[]): Promise<void>;
}

/** Where and what a cache keeps. */
export interface SnapshotCacheOptions {
  /** Folder; made with mode 0700 when it is not there. */
  readonly dir: string;
  /** Tells one client's configuration from another's, e.g. control plane, namespace, service and version. */
  readonly key: string;
  readonly clock: Clock;
  /** Default 128 MiB. */
  readonly maxBytes?: number;
}

/** Raised when the layout changes; older and newer files are not read. */
const FORMAT_VERSION = 1;
const MAGIC = 'inmesh-snapshot';
const MAX_HEADER_BYTES = 128;
const DEFAULT_MAX_BYTES = 128 * 1024 * 1024;

/**
 * The file: a line `inmesh-snapshot <format> <sha256 of the rest> <length of the rest>`, a line of JSON that lists the
 * resources, and their bytes one after the other.
 */
interface Index {
  readonly key: string;
  readonly savedAt: number;
  /** Type URL, name, version, length. */
  readonly resources: readonly (readonly [string, string, string, number])[];
}

/** A cache in one file of a folder; mode 0600, written atomically, checksummed, of bounded size. */
export function createSnapshotCache(options: SnapshotCacheOptions): SnapshotCache {
  const { dir, key, clock, maxBytes = DEFAULT_MAX_BYTES } = options;
  const path = join(dir, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.snapshot`);
  return {
    async load() {
      await removeRemains(path, clock);
      const file = await readTrusted(path, maxBytes);
      return file === undefined ? undefined : decodeFile(file, { key, path });
    },
    async save(resources) {
      const parts = await encodeFile({ key, savedAt: clock.wallTime(), resources });
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      if (bytes > maxBytes) {
        throw new MeshError(
          'INMESH_CACHE_WRITE',
          `the configuration has ${bytes} bytes, the cache may have ${maxBytes}`,
          { resource: path },
        );
      }
      try {
        await writeFileAtomic(path, parts, { mode: 0o600, dirMode: 0o700 });
      } catch (cause) {
        throw new MeshError('INMESH_CACHE_WRITE', `the cache could not be written: ${messageOf(cause)}`, {
          cause,
          resource: path,
          hint: 'Check that the folder is writable and the disk not full',
        });
      }
    },
  };
}

/** No write takes that long: whoever began it is gone. */
const REMAINS_MS = 600_000;

/** Removes what processes left behind that were killed while they wrote. */
async function removeRemains(path: string, clock: Clock): Promise<void> {
  const dir = dirname(path);
  const names = await readdir(dir).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(`${basename(path)}.`) || !name.endsWith('.tmp')) continue;
    const file = join(dir, name);
    // Another process may be faster.
    const found = await stat(file).catch(() => undefined);
    if (found !== undefined && clock.wallTime() - found.mtimeMs > REMAINS_MS) await rm(file, { force: true });
  }
}

async function encodeFile({
  key,
  savedAt,
  resources,
}: CachedSnapshot & { readonly key: string }): Promise<Uint8Array[]> {
  const list = resources.map(
    ({ typeUrl, name, version, bytes }) => [typeUrl, name, version, bytes.length] as const,
  );
  const index: Index = { key, savedAt, resources: list };
  const body = Buffer.concat([
    Buffer.from(`${JSON.stringify(index)}\n`),
    ...resources.map(({ bytes }) => bytes),
  ]);
  // On another thread: a large configuration does not hold up requests.
  const hash = Buffer.from(await webcrypto.subtle.digest('SHA-256', body)).toString('hex');
  return [Buffer.from(`${MAGIC} ${FORMAT_VERSION} ${hash} ${body.length}\n`), body];
}

function decodeFile(
  file: Buffer,
  { key, path }: { readonly key: string; readonly path: string },
): CachedSnapshot {
  const headerEnd = file.subarray(0, MAX_HEADER_BYTES).indexOf(0x0a);
  const header = /^inmesh-snapshot (\d{1,9}) ([0-9a-f]{64}) (\d{1,15})$/.exec(
    file.subarray(0, Math.max(0, headerEnd)).toString('latin1'),
  );
  if (header === null) throw corrupt(path, 'it does not start like a snapshot');
  if (Number(header[1]) !== FORMAT_VERSION) {
    throw corrupt(path, `it has format ${header[1]}, this version reads format ${FORMAT_VERSION}`);
  }
  const rest = file.subarray(headerEnd + 1);
  if (rest.length !== Number(header[3]))
    throw corrupt(path, `it has ${rest.length} bytes instead of ${header[3]}`);
  if (createHash('sha256').update(rest).digest('hex') !== header[2])
    throw corrupt(path, 'its checksum is wrong');
  const indexEnd = rest.indexOf(0x0a);
  const index = parseIndex(rest.subarray(0, Math.max(0, indexEnd)).toString());
  if (index === undefined) throw corrupt(path, 'its list of resources is unreadable');
  if (index.key !== key) throw corrupt(path, 'it belongs to another client');
  return { savedAt: index.savedAt, resources: slice(index, rest.subarray(indexEnd + 1), path) };
}

function slice(index: Index, bytes: Uint8Array, path: string): StoredResource[] {
  let offset = 0;
  const resources = index.resources.map(([typeUrl, name, version, length]) => {
    const end = offset + length;
    const resource = { typeUrl, name, version, bytes: bytes.slice(offset, end) };
    offset = end;
    return resource;
  });
  if (offset !== bytes.length) throw corrupt(path, 'its list of resources does not fit its content');
  return resources;
}

function parseIndex(text: string): Index | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isIndex(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isIndex(value: unknown): value is Index {
  if (
    typeof value !== 'object' ||
    value === null ||
    !('key' in value) ||
    !('savedAt' in value) ||
    !('resources' in value)
  )
    return false;
  const { key, savedAt, resources } = value;
  return (
    typeof key === 'string' &&
    typeof savedAt === 'number' &&
    Array.isArray(resources) &&
    resources.every(isIndexEntry)
  );
}

function isIndexEntry(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 4) return false;
  const [typeUrl, name, version, length]: unknown[] = value;
  const isText = typeof typeUrl === 'string' && typeof name === 'string' && typeof version === 'string';
  return isText && typeof length === 'number' && Number.isSafeInteger(length) && length >= 0;
}

/** The content, if it is a regular file that only its owner, we, could have written. */
async function readTrusted(path: string, maxBytes: number): Promise<Buffer | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      const { size, mode, uid } = await file.stat();
      if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw corrupt(path, 'it is no regular file');
      if (process.getuid !== undefined && uid !== process.getuid())
        throw corrupt(path, 'it belongs to another user');
      if (process.getuid !== undefined && (mode & 0o022) !== 0) throw corrupt(path, 'others may write it');
      if (size > maxBytes) throw corrupt(path, `it has ${size} bytes, more than ${maxBytes}`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw MeshError.is(cause) ? cause : corrupt(path, messageOf(cause), cause);
  }
}

function corrupt(path: string, why: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_CACHE_CORRUPT', `the cached configuration is not used: ${why}`, {
    cause,
    resource: path,
    hint: 'It is replaced as soon as the control plane answers; delete the file to be rid of this message',
  });
}

/** What went wrong with a cache as an error with a code. */
export function toCacheError(error: unknown): MeshError {
  return MeshError.is(error)
    ? error
    : new MeshError('INMESH_CACHE_CORRUPT', messageOf(error), { cause: error });
}
