/**
 * Builds `dist/`: one ES module per root file of `src`, shared code in `dist/chunks`, and the declarations that the
 * package's `exports` reach. Type errors do not stop it (`npm run typecheck` is the gate for those).
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const hashbang = '#!/usr/bin/env node\n';

/** Bundled although it is a dependency: its 100 small files cost 65 ms to import, bundled with the rest 34 ms. */
const inlined = ['@bufbuild/protobuf'];

/** Every root file of `src` is a public sub-path or the bin. */
export function entryPoints() {
  const names = readdirSync(join(root, 'src')).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.d.ts'),
  );
  return names.map((name) => join(root, 'src', name));
}

/** Shared by the build and by the test that looks at what each sub-path loads. */
export function bundleOptions() {
  const dependencies = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  return {
    absWorkingDir: root,
    entryPoints: entryPoints(),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    chunkNames: 'chunks/[name]-[hash]',
    external: dependencies.filter((name) => !inlined.includes(name)).flatMap((name) => [name, `${name}/*`]),
    legalComments: 'eof',
    logLevel: 'warning',
    // "sideEffects" of package.json lists built files, so `import './x.js'` in src would silently do nothing.
    logOverride: { 'ignored-bare-import': 'error' },
    metafile: true,
  };
}

/** A package that is neither a dependency nor meant to be inlined must not slip into the bundle. */
function refuseStrangers(metafile) {
  const packageOf = (path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
  const found = new Set(Object.keys(metafile.inputs).map(packageOf).filter(Boolean));
  const strangers = [...found].filter((name) => !inlined.includes(name));
  if (strangers.length > 0) throw new Error(`build: not in "dependencies": ${strangers.join(', ')}`);
}

function markExecutable(dir) {
  for (const file of Object.values(manifest.bin ?? {})) {
    const path = join(dir, relative('dist', file));
    if (!existsSync(path)) continue;
    const text = readFileSync(path, 'utf8');
    if (!text.startsWith('#!')) writeFileSync(path, hashbang + text);
    chmodSync(path, 0o755);
  }
}

function emitDeclarations(dir) {
  const tsc = join(root, 'node_modules/@typescript/native/bin/tsc');
  const args = [tsc, '-p', 'tsconfig.build.json', '--noCheck', '--outDir', dir];
  execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  // The compiler does not copy declarations that it was given.
  cpSync(join(root, 'src/proto/gen'), join(dir, 'proto/gen'), {
    recursive: true,
    filter: (path) => !path.endsWith('.js') && !path.endsWith('.stamp'),
  });
}

const importPattern = /(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g;

function reachableDeclarations(dir) {
  const types = Object.values(manifest.exports)
    .map((entry) => entry.types)
    .filter(Boolean);
  const pending = types.map((file) => join(dir, relative('dist', file))).filter((file) => existsSync(file));
  const seen = new Set();
  while (pending.length > 0) {
    const file = pending.pop();
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [, path] of readFileSync(file, 'utf8').matchAll(importPattern)) {
      const target = resolve(dirname(file), path.replace(/\.js$/, '.d.ts'));
      if (!existsSync(target)) throw new Error(`build: ${relative(dir, file)} needs a missing ${path}`);
      pending.push(target);
    }
  }
  return seen;
}

/** Internal modules have declarations too; only what a user's compiler can reach is shipped. */
function pruneDeclarations(dir) {
  const reachable = reachableDeclarations(dir);
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && file.endsWith('.d.ts') && !reachable.has(file)) rmSync(file);
  }
  removeEmptyFolders(dir);
}

function removeEmptyFolders(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmptyFolders(join(dir, entry.name));
  }
  if (readdirSync(dir).length === 0) rmSync(dir, { recursive: true });
}

async function main() {
  const started = performance.now();
  const dir = join(root, `.dist-${process.pid}`);
  const old = join(root, `.dist-old-${process.pid}`);
  try {
    mkdirSync(dir, { recursive: true });
    emitDeclarations(dir);
    pruneDeclarations(dir);
    mkdirSync(dir, { recursive: true });
    const { metafile } = await build({ ...bundleOptions(), outdir: dir });
    refuseStrangers(metafile);
    markExecutable(dir);
    if (existsSync(join(root, 'dist'))) renameSync(join(root, 'dist'), old);
    renameSync(dir, join(root, 'dist'));
  } finally {
    for (const folder of [dir, old]) rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(
    `build: ${entryPoints().length} entries in ${((performance.now() - started) / 1000).toFixed(1)} s\n`,
  );
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) await main();
