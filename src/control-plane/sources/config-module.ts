import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { codeOf, type MeshErrorCode, messageOf } from '../../runtime/errors.js';
import { plainData } from '../../runtime/plain-data.js';
import { type ConfigText, fileViolation } from '../schema/config-file.js';
import { documentTexts } from '../schema/document-texts.js';
import type { Violation } from '../schema/violation.js';
import { LOADER } from './module-loader.js';

const MODULE = /\.[cm]?[jt]s$/i;
const TYPESCRIPT = /\.[cm]?ts$/i;

/** Whether a path names code whose default export is a mesh. */
export function isConfigModule(path: string): boolean {
  return MODULE.test(path);
}

/** The documents of a module, or why there are none. */
export interface ModuleRead {
  readonly files: readonly ConfigText[];
  readonly violations: readonly Violation[];
}

/**
 * Runs a module and takes the documents that its default export holds: a mesh, documents, or a function or promise of
 * these. It runs in a thread of its own: all that it imports is loaded anew each time, what it writes to stdout goes to
 * stderr, and it does not keep this process. Nothing is thrown.
 */
export async function readModule(path: string): Promise<ModuleRead> {
  const compiler = TYPESCRIPT.test(path) ? compilerFor(path) : {};
  if (compiler === undefined) return refused(path, 'INMESH_CONFIG_READ', withoutCompiler(path));
  const answer = await run(path, compiler);
  if ('failure' in answer) return failed(path, answer.failure);
  try {
    const documents = answer.documents.map((one, index) =>
      plainData(one as object, nameOf(one, `document ${index + 1}`)),
    );
    return { files: documentTexts(path, documents), violations: [] };
  } catch (error) {
    return refused(path, 'INMESH_CONFIG_INVALID', textOf(messageOf(error)));
  }
}

/** What reads TypeScript where Node does not: modules of the project that the file belongs to. */
interface Compiler {
  readonly jiti?: string;
  readonly tsx?: string;
}

function compilerFor(path: string): Compiler | undefined {
  // Node 22.18 and later strip types; @types/node of the oldest Node that is supported do not know the field.
  if (
    Reflect.get(process.features, 'typescript') !== undefined &&
    Reflect.get(process.features, 'typescript')
  )
    return {};
  const { resolve: find } = createRequire(resolve(path));
  for (const [name, specifier] of [
    ['jiti', 'jiti'],
    ['tsx', 'tsx/esm/api'],
  ] as const) {
    try {
      return { [name]: find(specifier) };
    } catch {
      // Not installed.
    }
  }
  return undefined;
}

function withoutCompiler(path: string): string {
  return `Node ${process.versions.node} does not read TypeScript, and ${path} has neither jiti nor tsx beside it: use Node 22.18 or later, or npm install --save-dev jiti`;
}

interface Failure {
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
}

type Answer = { readonly documents: readonly unknown[] } | { readonly failure: Failure };

async function run(path: string, compiler: Compiler): Promise<Answer> {
  const workerData = { path: resolve(path), url: pathToFileURL(resolve(path)).href, ...compiler };
  const worker = new Worker(LOADER, { eval: true, workerData, stdout: true });
  worker.stdout.pipe(process.stderr, { end: false });
  try {
    return await new Promise<Answer>((resolve) => {
      worker.on('message', resolve);
      worker.on('error', (error) => resolve({ failure: failureOf(error) }));
      worker.on('exit', () => resolve({ failure: { message: 'it ended before it had a default export' } }));
    });
  } finally {
    await worker.terminate();
  }
}

function failureOf(error: unknown): Failure {
  const code = codeOf(error);
  const stack = error instanceof Error ? error.stack : undefined;
  return {
    message: messageOf(error),
    ...(code !== undefined && { code }),
    ...(stack !== undefined && { stack }),
  };
}

/** What went wrong in a module, at the line of it that the stack names. */
function failed(path: string, { message, code = '', stack = '' }: Failure): ModuleRead {
  const isOurs = code.startsWith('INMESH_');
  // Codes of MeshErrors stay what they are.
  const own = isOurs ? (code as MeshErrorCode) : 'INMESH_CONFIG_READ';
  const read = refused(path, own, isOurs ? textOf(message) : `cannot be run: ${message}`);
  const place = placeIn(stack, resolve(path));
  if (place === undefined) return read;
  const violations = read.violations.map((one) => ({ ...one, origin: { ...one.origin, ...place } }));
  return { ...read, violations };
}

function placeIn(
  stack: string,
  path: string,
): { readonly line: number; readonly column: number } | undefined {
  for (const name of [pathToFileURL(path).href, path]) {
    const start = stack.indexOf(`${name}:`);
    if (start < 0) continue;
    const [, line, column = '1'] = /^(\d+)(?::(\d+))?/.exec(stack.slice(start + name.length + 1)) ?? [];
    if (line !== undefined) return { line: Number(line), column: Number(column) };
  }
  return undefined;
}

/** A MeshError's message without the code, which is shown before it. */
function textOf(message: string): string {
  return message.replace(/^INMESH_[A-Z_]+: /, '');
}

function refused(path: string, code: MeshErrorCode, message: string): ModuleRead {
  return { files: [], violations: [fileViolation(code, path, message)] };
}

function nameOf(document: unknown, otherwise: string): string {
  if (typeof document !== 'object' || document === null) return otherwise;
  const { kind, metadata } = document as { kind?: unknown; metadata?: { name?: unknown } | null };
  const name = metadata?.name;
  return typeof kind === 'string' && typeof name === 'string' ? `${kind} ${name}` : otherwise;
}
