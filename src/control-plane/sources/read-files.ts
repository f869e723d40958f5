import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from '../../runtime/errors.js';
import { type ConfigText, fileViolation } from '../schema/config-file.js';
import type { ConfigLimits } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { isConfigModule, type ModuleRead, readModule } from './config-module.js';

const CONFIG_FILE = /\.(?:ya?ml|json)$/i;

/** The content of files and directories, and what could not be read of them. */
export interface FilesRead {
  readonly files: readonly ConfigText[];
  readonly violations: readonly Violation[];
}

/**
 * Reads files as they are given, and of directories (not of those inside) every `.yaml`, `.yml` and `.json`,
 * ordered by name. Hidden files are left out: editors and Kubernetes keep their own there. A module that is named itself
 * (never one in a directory) is run for the mesh that it exports, unless modules are refused.
 */
export async function readFiles(
  paths: readonly string[],
  limits: ConfigLimits,
  modules: 'run' | 'refuse' = 'run',
): Promise<FilesRead> {
  const files: ConfigText[] = [];
  const violations: Violation[] = [];
  const seen = new Set<string>();
  for (const path of paths) {
    try {
      for (const file of await filesOf(path)) {
        if (seen.has(file)) continue;
        seen.add(file);
        if (isConfigModule(file)) {
          const read = modules === 'run' ? await readModule(file) : refusedModule(file);
          files.push(...read.files);
          violations.push(...read.violations);
        } else files.push(await readOne(file, limits));
      }
    } catch (error) {
      violations.push(unreadable(error, path));
    }
  }
  return { files, violations };
}

async function filesOf(path: string): Promise<readonly string[]> {
  if (path === '/dev/stdin' || !(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path);
  const wanted = names.filter((name) => CONFIG_FILE.test(name) && !name.startsWith('.'));
  // By code unit, so that the order is the same under every locale.
  wanted.sort();
  const files: string[] = [];
  for (const name of wanted) {
    const file = join(path, name);
    if (await isFile(file)) files.push(file);
  }
  return files;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    // Gone between the listing and now; a link to nowhere is the same.
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Reads a file, but no more of it than shows that it is too large. */
async function readOne(file: string, limits: ConfigLimits): Promise<ConfigText> {
  // A pipe that is a socket has no file that could be opened by that name.
  if (file === '/dev/stdin') return { file, content: await readStandardInput(limits) };
  const handle = await open(file, 'r');
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    while (bytes <= limits.fileBytes) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(64 * 1024));
      if (bytesRead === 0) break;
      chunks.push(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
    return { file, content: Buffer.concat(chunks) };
  } finally {
    await handle.close();
  }
}

async function readStandardInput({ fileBytes }: ConfigLimits): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    const read = Buffer.from(chunk);
    chunks.push(read);
    bytes += read.byteLength;
    if (bytes > fileBytes) break;
  }
  return Buffer.concat(chunks);
}

function refusedModule(file: string): ModuleRead {
  const message =
    'is code, which is not run from here: import it and hand over its mesh, or name it to a command of inmesh';
  return { files: [], violations: [fileViolation('INMESH_CONFIG_READ', file, message)] };
}

function unreadable(error: unknown, path: string): Violation {
  // The errors of node:fs name the file; the path as it was given is shown before the message.
  const reason = codeOf(error) === 'ENOENT' ? 'there is no such file or directory' : messageOf(error);
  return fileViolation('INMESH_CONFIG_READ', path, `cannot be read: ${reason}`);
}
