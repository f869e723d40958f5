import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { codeOf, MeshError } from './errors.js';

const POLL_MS = 20;
const TIMEOUT_MS = 10_000;
/** A holder on another machine can't be asked whether it lives; nobody holds a lock for so long. */
const FOREIGN_STALE_MS = 60_000;
const BREAKING_STALE_MS = 5_000;
/** Where files can have one name only. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK']);

/**
 * Runs `work` while no other process does, by a file that says who holds it. A holder that died, `kill -9` too, is found
 * by its process id, and its lock is taken away.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  { timeoutMs = TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<T> {
  const mine = `${process.pid} ${hostname()} ${randomBytes(8).toString('hex')}\n`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await acquire(path, mine, timeoutMs);
  try {
    return await work();
  } finally {
    if ((await contentOf(path)) === mine) await rm(path, { force: true });
  }
}

async function acquire(path: string, mine: string, timeoutMs: number): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    try {
      await create(path, mine);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw cannotLock(path, error);
    }
    await removeStale(path);
    if (waitedMs >= timeoutMs) throw cannotLock(path, new Error(`held by ${await contentOf(path)}`));
    await wait(POLL_MS);
  }
}

/** The file is there with its content or not at all: a crash in between would leave a lock of nobody. */
async function create(path: string, content: string): Promise<void> {
  const whole = `${path}.${randomBytes(8).toString('hex')}`;
  await writeFile(whole, content, { flag: 'wx', mode: 0o600 });
  try {
    await link(whole, path);
  } catch (error) {
    if (!NO_LINKS.has(codeOf(error) ?? '')) throw error;
    await writeFile(path, content, { flag: 'wx', mode: 0o600 });
  } finally {
    await rm(whole, { force: true });
  }
}

/**
 * Takes a dead holder's lock away. One at a time, and after another look: then nobody can have taken it over, because
 * nobody else could have removed it.
 */
async function removeStale(path: string): Promise<void> {
  const content = await contentOf(path);
  if (content === undefined || !(await isStale(path, content))) return;
  const breaking = `${path}.breaking`;
  try {
    await writeFile(breaking, '', { flag: 'wx', mode: 0o600 });
  } catch {
    // Whoever holds this for longer than a moment died over it.
    if (await isOlderThan(breaking, BREAKING_STALE_MS)) await rm(breaking, { force: true });
    return;
  }
  try {
    if ((await contentOf(path)) === content) await rm(path, { force: true });
  } finally {
    await rm(breaking, { force: true });
  }
}

async function isOlderThan(path: string, ms: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > ms;
  } catch {
    return false;
  }
}

async function isStale(path: string, content: string): Promise<boolean> {
  const [pid = '', host] = content.trim().split(' ');
  if (host === hostname() && /^\d+$/.test(pid)) return !isAlive(Number(pid));
  // Of another machine, or cut off by a crash where files can't be linked: that much is written in an instant.
  return isOlderThan(path, host === undefined ? BREAKING_STALE_MS : FOREIGN_STALE_MS);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is alive, too.
    return codeOf(error) === 'EPERM';
  }
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

function cannotLock(path: string, cause: unknown): MeshError {
  return new MeshError('INMESH_STORE_WRITE', 'the lock of a folder could not be had', {
    resource: path,
    cause,
    hint: 'Make the folder writable for this user; if no other process uses it, delete the file',
  });
}
