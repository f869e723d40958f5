import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** Watches that belong together. */
export interface PathWatch {
  /** Looks again for what there is to watch: directories that appeared, were replaced or went away. */
  refresh(): void;
  close(): void;
}

/**
 * Calls `onChange` whenever one of the paths may have changed. A file is watched through its directory, so that it may
 * be replaced (editors), be swapped with its directory (Kubernetes' `..data`), vanish and come back.
 * It may call too often, never too seldom on what the operating system reports.
 */
export function watchPaths(paths: readonly string[], onChange: () => void): PathWatch {
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly identity: string }>();
  const drop = (directory: string): void => {
    watchers.get(directory)?.watcher.close();
    watchers.delete(directory);
  };
  const add = (directory: string, names: ReadonlySet<string> | undefined): void => {
    const identity = identityOf(directory);
    if (watchers.get(directory)?.identity === identity) return;
    drop(directory);
    if (identity === undefined) return;
    try {
      const watcher = watch(directory, { persistent: false }, (_, name) => {
        if (names === undefined || name === null || names.has(name) || name.startsWith('..')) onChange();
      });
      watcher.on('error', () => {
        drop(directory);
        onChange();
      });
      watchers.set(directory, { watcher, identity });
    } catch {
      // The directory went away in between: its parent's watch, or the next poll, tells when it is back.
    }
  };
  const refresh = (): void => {
    for (const [directory, names] of directoriesOf(paths)) add(directory, names);
  };
  refresh();
  return {
    refresh,
    close() {
      for (const directory of watchers.keys()) drop(directory);
    },
  };
}

/** The directories to watch, each with the names that matter in it (undefined: all). */
function directoriesOf(paths: readonly string[]): Map<string, ReadonlySet<string> | undefined> {
  const directories = new Map<string, Set<string> | undefined>();
  for (const path of paths.map((one) => resolve(one))) {
    const parent = dirname(path);
    const names = directories.has(parent) ? directories.get(parent) : new Set<string>();
    names?.add(basename(path));
    directories.set(parent, names);
    if (isDirectory(path)) directories.set(path, undefined);
  }
  return directories;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Changes when another directory takes the name. */
function identityOf(directory: string): string | undefined {
  try {
    const found = statSync(directory, { throwIfNoEntry: false });
    return found === undefined ? undefined : `${found.dev}:${found.ino}`;
  } catch {
    return undefined;
  }
}
