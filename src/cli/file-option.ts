import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { collect } from './collect.js';

/** Adds `-f` and `-R`: the same for every command that reads documents. */
export function withFileOption(command: Command, text: string): Command {
  return command
    .option(
      '-f, --file <path>',
      `${text}; several after one -f or with one each, - = standard input`,
      collect,
    )
    .option('-R, --recursive', 'of folders also what is in the folders below', false);
}

/** Fails the way commander does when no file is given. */
export function needFile(command: Command, files: readonly string[] | undefined): void {
  if (files === undefined || files.length === 0)
    command.error("error: required option '-f, --file <path>' not specified");
}

/** Before a command runs: folders are spread, and `-` is standard input. */
export async function resolveFiles(command: Command): Promise<void> {
  const file: unknown = command.getOptionValue('file');
  if (!Array.isArray(file)) return;
  const isRecursive = command.getOptionValue('recursive') === true;
  command.setOptionValue('file', await pathsOf(file.map(String), isRecursive));
}

/** Paths as they are read: standard input by its name, and with folders those below them. */
export async function pathsOf(paths: readonly string[], isRecursive: boolean): Promise<readonly string[]> {
  const named = paths.map((path) => (path === '-' ? '/dev/stdin' : path));
  if (!isRecursive) return named;
  return (await Promise.all(named.map(withFoldersBelow))).flat();
}

async function withFoldersBelow(path: string): Promise<readonly string[]> {
  // What is not there is told by who reads it.
  const isFolder = await stat(path).then(
    (one) => one.isDirectory(),
    () => false,
  );
  if (!isFolder) return [path];
  const entries = await readdir(path, { withFileTypes: true });
  const folders = entries.filter((one) => one.isDirectory() && !one.name.startsWith('.'));
  const names = folders.map(({ name }) => name).sort();
  return [path, ...(await Promise.all(names.map((name) => withFoldersBelow(join(path, name))))).flat()];
}
