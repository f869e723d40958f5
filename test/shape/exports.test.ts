import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import ts from 'typescript';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { bundleOptions, entryPoints } from '../../scripts/build.mjs';

/**
 * The public surface as a checked-in file, so that it changes only on purpose.
 * After a wanted change: `UPDATE_SHAPE=1 npx vitest run --project shape`.
 */
interface SubPath {
  readonly values: readonly string[];
  readonly types: readonly string[];
  /** Packages loaded by the import alone (dynamic imports not counted): what a user's start pays for. */
  readonly loads: readonly string[];
}

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const snapshotFile = join(root, 'test/shape/exports.json');

const sourceOf = (built: string) => `src/${basename(built, '.js')}.ts`;

/** Sub-path to its source file: `./fetch` is `src/fetch.ts`. */
function subPaths(): Map<string, string> {
  const entries = Object.entries<string | { default: string }>(manifest.exports);
  return new Map(
    entries.flatMap(([subPath, target]) =>
      typeof target === 'string' ? [] : [[subPath, sourceOf(target.default)] as const],
    ),
  );
}

interface Surface extends Pick<SubPath, 'values' | 'types'> {
  readonly undocumented: readonly string[];
}

function surfaces(files: readonly string[]): Map<string, Surface> {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const program = ts.createProgram(
    files.map((file) => join(root, file)),
    options,
  );
  const checker = program.getTypeChecker();
  const surfaceOf = (file: string) => {
    const source = program.getSourceFile(join(root, file));
    const module = source && checker.getSymbolAtLocation(source);
    const values: string[] = [];
    const types: string[] = [];
    const undocumented: string[] = [];
    for (const symbol of module ? checker.getExportsOfModule(module) : []) {
      (isValue(checker, symbol) ? values : types).push(symbol.name);
      // What is in a namespace has its own sentences.
      const isNamespace = (declared(checker, symbol).flags & ts.SymbolFlags.Module) !== 0;
      if (!isNamespace && declared(checker, symbol).getDocumentationComment(checker).length === 0)
        undocumented.push(symbol.name);
    }
    return { values: values.sort(), types: types.sort(), undocumented };
  };
  return new Map(files.map((file) => [file, surfaceOf(file)]));
}

/** What a re-export stands for. */
function declared(checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

function isValue(checker: ts.TypeChecker, symbol: ts.Symbol): boolean {
  const typeOnly = symbol.declarations?.some(ts.isTypeOnlyExportDeclaration) ?? false;
  return !typeOnly && (declared(checker, symbol).flags & ts.SymbolFlags.Value) !== 0;
}

async function loadedPackages(): Promise<Map<string, string[]>> {
  const { metafile } = await build({ ...bundleOptions(), outdir: 'dist', write: false });
  const outputs = Object.entries(metafile.outputs);
  return new Map(
    outputs.flatMap(([name, output]) =>
      output.entryPoint ? [[output.entryPoint, packagesFrom(metafile, name)] as const] : [],
    ),
  );
}

function packagesFrom(metafile: Metafile, start: string): string[] {
  const packages = new Set<string>();
  const pending = [start];
  const seen = new Set<string>();
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    for (const imported of metafile.outputs[name]?.imports ?? []) {
      if (imported.kind !== 'import-statement') continue;
      if (!imported.external) pending.push(imported.path);
      else if (!imported.path.startsWith('node:')) packages.add(imported.path);
    }
  }
  return [...packages].sort();
}

const present = [...subPaths()].filter(([, file]) => existsSync(join(root, file)));
const surfaceOf = surfaces(present.map(([, file]) => file));

async function measure(): Promise<Record<string, SubPath>> {
  const loads = await loadedPackages();
  const describe = ([subPath, file]: readonly [string, string]) => {
    const { values = [], types = [] } = surfaceOf.get(file) ?? {};
    return [subPath, { values, types, loads: loads.get(file) ?? [] }] as const;
  };
  return Object.fromEntries(present.map(describe));
}

test('the public surface is the one that was agreed on', async () => {
  const actual = await measure();
  if (process.env['UPDATE_SHAPE']) writeFileSync(snapshotFile, `${JSON.stringify(actual, null, 2)}\n`);
  expect(actual).toEqual(JSON.parse(readFileSync(snapshotFile, 'utf8')));
});

test.each(present)('every export of %s says in a sentence what it is', (_subPath, file) => {
  expect(surfaceOf.get(file)?.undocumented).toEqual([]);
});

test('every sub-path has its source, and every root file of src is a sub-path or the bin', () => {
  const declaredFiles = [...subPaths().values(), ...Object.values(manifest.bin).map(sourceOf)];
  const files = entryPoints().map((file) => `src/${basename(file)}`);
  expect(declaredFiles.sort()).toEqual(files.sort());
});
