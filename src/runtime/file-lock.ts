import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock, Timer } from './clock.js';
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
  const mine = await take(path, timeoutMs);
  try {
    return await work();
  } finally {
    if ((await contentOf(path)) === mine) await rm(path, { force: true });
  }
}

/** A lock that is held for as long as the process wants. */
export interface FileLock {
  /** Whether it is: who was stopped for long may find that somebody else has it. */
  isHeld(): boolean;
  release(): Promise<void>;
}

/** Others know by its age whether the holder lives: well below `FOREIGN_STALE_MS`. */
const TOUCH_MS = 15_000;

/** Takes a lock for long; undefined when somebody else has it. @throws MeshError where there can be none. */
export async function holdFileLock(
  path: string,
  { timeoutMs, clock }: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<FileLock | undefined> {
  let mine: string;
  try {
    mine = await take(path, timeoutMs);
  } catch (error) {
    if (MeshError.is(error) && error.cause instanceof Held) return undefined;
    throw error;
  }
  const isHeld = (): boolean => {
    try {
      return readFileSync(path, 'utf8') === mine;
    } catch {
      return false;
    }
  };
  let timer: Timer;
  const touch = (): void => {
    const now = new Date();
    if (isHeld()) utimes(path, now, now).catch(() => {});
    timer = clock.schedule(TOUCH_MS, touch);
  };
  timer = clock.schedule(TOUCH_MS, touch);
  return {
    isHeld,
    async release() {
      timer.cancel();
      if (isHeld()) await rm(path, { force: true });
    },
  };
}

/** Who holds a lock, for people: `process 12 on host`. */
export function holderOf(path: string): string | undefined {
  try {
    const [pid = '', host = ''] = readFileSync(path, 'utf8').trim().split(' ');
    return pid === '' ? undefined : `process ${pid} on ${host}`;
  } catch {
    return undefined;
  }
}

class Held extends Error {}

async function take(path: string, timeoutMs: number): Promise<string> {
  const start = startOf(process.pid);
  const who = `${process.pid} ${hostname()} ${randomBytes(8).toString('hex')}`;
  const mine = `${who}${start === undefined ? '' : ` ${start}`}\n`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await acquire(path, mine, timeoutMs);
  return mine;
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
    if (waitedMs >= timeoutMs) throw cannotLock(path, new Held(`held by ${holderOf(path)}`));
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
  const [pid = '', host, , start] = content.trim().split(' ');
  if (host === hostname() && /^\d+$/.test(pid)) {
    // The id may be another process's by now: in containers nearly always, where there are few of them.
    return !isAlive(Number(pid)) || (start !== undefined && start !== (startOf(Number(pid)) ?? start));
  }
  // Of another machine, or cut off by a crash where files can't be linked: that much is written in an instant.
  return isOlderThan(path, host === undefined ? BREAKING_STALE_MS : FOREIGN_STALE_MS);
}

/** When a process began, where the platform tells: two of the same id differ in it. */
function startOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): the name, in parentheses, may hold anything; `starttime` is the 20th after it.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
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
