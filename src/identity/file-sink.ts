import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { IdentitySource } from './source.js';

const COMMAND_TIMEOUT_MS = 30_000;

/** What is done after the files changed. */
export type SinkAction =
  /** A program with its arguments; no shell reads them. */
  | { readonly kind: 'command'; readonly command: readonly [string, ...string[]] }
  /** A signal to the process whose ID stands in a file. */
  | { readonly kind: 'signal'; readonly pidFile: string; readonly signal: NodeJS.Signals }
  | { readonly kind: 'call'; readonly call: () => unknown };

/** Where an identity is written, under which names. */
export interface FileSinkOptions {
  /** Made with mode 0700 when it is missing. It must be the sink's own. */
  readonly dir: string;
  /** PEM, leaf first. Default `svid.pem`. */
  readonly certificateName?: string | undefined;
  /** PEM, PKCS #8. Default `svid_key.pem`. */
  readonly keyName?: string | undefined;
  /** PEM of the roots of the own trust domain. Default `svid_bundle.pem`. */
  readonly bundleName?: string | undefined;
  /** Permissions of the files. Default 0600. */
  readonly mode?: number | undefined;
  /** Done after each change, one after the other. */
  readonly after?: readonly SinkAction[] | undefined;
  readonly logger: Logger;
}

/** Keeps files current with an identity, for programs that read theirs from files. */
export interface FileSink {
  /** Settles when the files are there for the first time; rejects when they can't be written. */
  readonly ready: Promise<void>;
  /** Stops writing; the files stay. */
  close(): void;
}

/**
 * Writes certificate, key and roots (of federated trust domains to `federated_<name>.pem`) whenever they change. All of
 * them stand in a folder of their own that one rename puts in place (`..data`, as Kubernetes does), so that whoever looks
 * there once never sees those of two times.
 */
export function createFileSink(source: IdentitySource, options: FileSinkOptions): FileSink {
  const sink = new Sink(source, options);
  sink.start();
  return sink;
}

class Sink implements FileSink {
  readonly ready: Promise<void>;
  readonly #source: IdentitySource;
  readonly #options: FileSinkOptions;
  #settleReady: (error?: unknown) => void = () => {};
  #unsubscribe = () => {};
  #written: string | undefined;
  #isWriting = false;
  #isStale = false;
  #isClosed = false;

  constructor(source: IdentitySource, options: FileSinkOptions) {
    this.#source = source;
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Nobody has to wait for it; whoever does still sees the rejection.
    this.ready.catch(() => {});
  }

  start(): void {
    const soon = () => void this.#run();
    this.#unsubscribe = this.#source.onUpdate(soon);
    soon();
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    this.#settleReady(new MeshError('INMESH_CLOSED', 'the identity sink is closed'));
  }

  /** One at a time; what changes meanwhile is written after it. */
  async #run(): Promise<void> {
    this.#isStale = true;
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#isStale && !this.#isClosed) {
      this.#isStale = false;
      await this.#update();
    }
    this.#isWriting = false;
  }

  async #update(): Promise<void> {
    const { logger, after = [], dir } = this.#options;
    const files = filesOf(this.#source, this.#options);
    if (files === undefined) return;
    const state = JSON.stringify([...files]);
    if (state === this.#written) return;
    try {
      await replaceFiles(dir, files, this.#options.mode ?? 0o600);
    } catch (error) {
      const problem = new MeshError('INMESH_CACHE_WRITE', 'the identity could not be written', {
        resource: dir,
        cause: error,
        hint: 'Make the folder writable for this user; the files keep what they had',
      });
      logger.error({ error: messageOf(problem) }, 'the identity files are not current');
      this.#settleReady(problem);
      return;
    }
    this.#written = state;
    for (const action of after) {
      await act(action).catch((error: unknown) => {
        logger.warn({ action: action.kind, error: messageOf(error) }, 'what follows a new identity failed');
      });
    }
    this.#settleReady();
  }
}

/** Contents by name; undefined while there is no identity, so that files of before stay. */
function filesOf(source: IdentitySource, options: FileSinkOptions): ReadonlyMap<string, string> | undefined {
  const svid = source.svid();
  const own = svid && source.bundle(svid.id.trustDomain);
  if (svid === undefined || own === undefined) return undefined;
  const files = new Map([
    [options.certificateName ?? 'svid.pem', svid.certificatesPem.join('')],
    [options.keyName ?? 'svid_key.pem', svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    [options.bundleName ?? 'svid_bundle.pem', own.authorities.join('')],
  ]);
  for (const name of source.federated?.() ?? []) {
    const bundle = name === svid.id.trustDomain ? undefined : source.bundle(name);
    if (bundle !== undefined) files.set(`federated_${name}.pem`, bundle.authorities.join(''));
  }
  return files;
}

const DATA = '..data';

async function replaceFiles(dir: string, files: ReadonlyMap<string, string>, mode: number): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const generation = `..${Date.now()}_${randomBytes(4).toString('hex')}`;
  await mkdir(join(dir, generation), { mode: 0o700 });
  for (const [name, text] of files) await writeDurably(join(dir, generation, name), text, mode);
  const before = await readlink(join(dir, DATA)).catch(() => undefined);
  await replaceLink(dir, DATA, generation);
  for (const name of files.keys()) {
    const target = `${DATA}/${name}`;
    const current = await readlink(join(dir, name)).catch(() => undefined);
    if (current !== target) await replaceLink(dir, name, target);
  }
  await removeOld(dir, files, [generation, before]);
}

async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function replaceLink(dir: string, name: string, target: string): Promise<void> {
  const temporary = join(dir, `..link_${randomBytes(6).toString('hex')}`);
  await symlink(target, temporary);
  await rename(temporary, join(dir, name));
}

/** The generation before stays for those who are reading it; links to files that are no more go. */
async function removeOld(
  dir: string,
  files: ReadonlyMap<string, string>,
  keep: readonly (string | undefined)[],
): Promise<void> {
  for (const entry of await readdir(dir)) {
    const isGeneration = /^\.\.(\d+|link)_[0-9a-f]+$/.test(entry);
    const isGone = /^federated_.*\.pem$/.test(entry) && !files.has(entry);
    if ((isGeneration && !keep.includes(entry)) || isGone)
      await rm(join(dir, entry), { recursive: true, force: true });
  }
}

const run = promisify(execFile);

async function act(action: SinkAction): Promise<void> {
  switch (action.kind) {
    case 'command': {
      const [program, ...args] = action.command;
      await run(program, args, { timeout: COMMAND_TIMEOUT_MS });
      return;
    }
    case 'signal': {
      const pid = Number((await readFile(action.pidFile, 'utf8')).trim());
      if (!Number.isSafeInteger(pid) || pid <= 1)
        throw new TypeError(`${action.pidFile} holds no process ID`);
      process.kill(pid, action.signal);
      return;
    }
    case 'call':
      await action.call();
  }
}
