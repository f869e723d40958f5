import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../runtime/clock.js';
import { type Debounced, debounce } from '../runtime/debounce.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import { createX509Bundle } from './bundle.js';
import { createSettableSource, type IdentitySource, type IdentityState } from './source.js';
import { parseBundleMap } from './spiffe-bundle.js';
import { parseX509Svid, type X509Svid } from './x509-svid.js';

const QUIET_MS = 100;
const MAX_WAIT_MS = 1000;
/** Network file systems do not tell of changes, so the files are looked at this often, too. */
const POLL_MS = 60_000;

/** Which files hold the identity. */
export interface FileSourceOptions {
  /** PEM, leaf first. */
  readonly certificateFile: string;
  /** PEM, unencrypted. */
  readonly keyFile: string;
  /** PEM with the roots of the certificate's own trust domain, or a SPIFFE bundle map. */
  readonly bundleFile: string;
  /** Whether `bundleFile` is a SPIFFE bundle map (gRFC A87): members of all of its trust domains are let in. */
  readonly isBundleMap?: boolean;
  /** PEM with the roots of further trust domains, by name. */
  readonly federatedBundleFiles?: ReadonlyMap<string, string>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often they are looked at, whatever the file system tells. Default 60 s. */
  readonly refreshMs?: number;
}

/** A source that follows files. */
export interface FileSource extends IdentitySource {
  /** Reads the files again now; rejects, and keeps the last identity, when they do not hold. */
  reload(): Promise<void>;
  /** Stops watching; the last identity stays readable. */
  close(): void;
}

/** Reads certificate, key and roots from PEM files and follows their changes; rejects when they do not hold at the start. */
export async function createFileSource(options: FileSourceOptions): Promise<FileSource> {
  const { clock, logger } = options;
  const source = createSettableSource();
  let hash = '';
  const reload = async () => {
    const files = await readFiles(options);
    if (files.hash === hash) return;
    source.set(parseFiles(files, options));
    hash = files.hash;
  };
  await reload();

  const quietly = () =>
    void reload().catch((error: unknown) => {
      // A writer replaces the files one by one: what does not fit together yet is read again with the next event.
      logger.warn({ error: messageOf(error) }, 'the identity files do not hold; the last identity is kept');
    });
  const soon = debounce(quietly, { quietMs: QUIET_MS, maxMs: MAX_WAIT_MS }, clock);
  const watchers = watchDirectories(options, soon, logger);
  let poll: Timer;
  const planPoll = () => {
    poll = clock.schedule(options.refreshMs ?? POLL_MS, () => {
      quietly();
      planPoll();
    });
  };
  planPoll();
  return {
    svid: source.svid,
    bundle: source.bundle,
    federated: () => source.federated?.() ?? [],
    onUpdate: source.onUpdate,
    reload,
    close() {
      soon.cancel();
      poll.cancel();
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** Watches the folders, not the files: Kubernetes swaps the link `..data`, and editors replace files by renaming. */
function watchDirectories(options: FileSourceOptions, soon: Debounced, logger: Logger): FSWatcher[] {
  const folders = new Set(allPaths(options).map((path) => dirname(path)));
  return [...folders].map((folder) => {
    const watcher = watch(folder, { persistent: false }, () => soon.call());
    watcher.on('error', (error) => {
      logger.warn(
        { folder, error: messageOf(error) },
        'the identity files are not watched any more, only polled',
      );
    });
    return watcher;
  });
}

interface Files {
  readonly certificate: string;
  readonly key: string;
  readonly bundles: readonly string[];
  readonly hash: string;
}

function allPaths(options: FileSourceOptions): [string, string, ...string[]] {
  const { certificateFile, keyFile, bundleFile, federatedBundleFiles = new Map<string, string>() } = options;
  return [certificateFile, keyFile, bundleFile, ...federatedBundleFiles.values()];
}

async function readFiles(options: FileSourceOptions): Promise<Files> {
  // Read to the end of each, so that of several that are missing it is always the first that is named.
  const results = await Promise.allSettled(allPaths(options).map(readText));
  const texts = results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  const [certificate = '', key = '', ...bundles] = texts;
  const digest = createHash('sha256');
  for (const text of texts) digest.update(`${text.length}\n${text}`);
  return { certificate, key, bundles, hash: digest.digest('hex') };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new MeshError('INMESH_IDENTITY_UNAVAILABLE', 'an identity file cannot be read', {
      resource: path,
      cause: error,
      hint: 'Check the path, and that this user may read it',
    });
  }
}

function parseFiles({ certificate, key, bundles }: Files, options: FileSourceOptions): IdentityState {
  const svid = parseX509Svid(certificate, key);
  if (options.isBundleMap === true) return stateOfMap(svid, bundles[0] ?? '');
  const names = [svid.id.trustDomain, ...(options.federatedBundleFiles?.keys() ?? [])];
  return { svid, bundles: names.map((name, index) => createX509Bundle(name, bundles[index] ?? '')) };
}

function stateOfMap(svid: X509Svid, text: string): IdentityState {
  const own = svid.id.trustDomain;
  const bundles = [...parseBundleMap(text).values()].map(({ x509 }) => x509);
  const names = bundles.map(({ trustDomain }) => trustDomain);
  if (!names.includes(own)) {
    throw new MeshError('INMESH_BUNDLE_INVALID', `the bundle map lacks the own trust domain ${own}`);
  }
  return { svid, bundles, federated: names.filter((name) => name !== own) };
}
