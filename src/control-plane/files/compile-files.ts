import type { CompileTarget } from '../compile/compile-view.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import { readFiles } from '../sources/read-files.js';
import { type CompileResult, compileFor } from './compile-for.js';

/**
 * Compiles the documents in files and folders for one client, as a control plane would before anybody registered.
 * What can't be read is among the violations.
 */
export async function compileFiles(paths: readonly string[], target: CompileTarget): Promise<CompileResult> {
  return compileFor(await readFiles(paths, DEFAULT_LIMITS), target);
}
