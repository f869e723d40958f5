/**
 * Generates `src/proto/gen` from the .proto files that npm packages ship plus the few under `proto/`.
 *
 *   stage    copy the closure of the wanted files into a scratch folder, patching what does not compile
 *   compile  `buf build` to one descriptor image
 *   strip    drop custom options (validate rules, annotations): halves the load time of the result
 *   generate protoc-gen-es over the image: one .js and .d.ts per file
 *   bundle   one ES module `xds.js` whose namespaces are evaluated on first use, and its `xds.d.ts`
 *
 * The output is not committed. A stamp of all inputs makes a second run return at once.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildConfigTypes } from './build-config-types.mjs';
import { namespaces, patches, roots } from './proto-inputs.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const output = join(root, 'src/proto/gen');
const cache = join(modules, '.cache/inmesh-proto');

/** Folders searched for an imported .proto, first hit wins. */
const includePaths = [
  join(root, 'proto'),
  join(modules, '@grpc/grpc-js-xds/deps/envoy-api'),
  join(modules, '@grpc/grpc-js-xds/deps/xds'),
  join(modules, '@grpc/grpc-js-xds/deps/googleapis'),
  join(modules, '@grpc/grpc-js-xds/deps/protoc-gen-validate'),
  join(modules, '@grpc/grpc-js/proto/xds'),
];

const write = (file, text) => {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
};

const listFiles = (dir, extension) =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(extension))
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();

/** Everything that decides the output: our own files by content, packages by version. */
export function inputStamp() {
  const hash = createHash('sha256');
  const packages = [
    '@grpc/grpc-js-xds',
    '@grpc/grpc-js',
    '@bufbuild/buf',
    '@bufbuild/protobuf',
    '@bufbuild/protoc-gen-es',
    'esbuild',
  ];
  for (const name of packages) {
    hash.update(`${name}@${JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')).version}\n`);
  }
  const own = [
    fileURLToPath(import.meta.url),
    join(root, 'scripts/proto-inputs.mjs'),
    ...listFiles(join(root, 'proto'), '.proto').map((file) => join(root, 'proto', file)),
  ];
  for (const file of own) hash.update(relative(root, file)).update(readFileSync(file));
  return hash.digest('hex');
}

function locate(path) {
  const found = includePaths.map((dir) => join(dir, path)).find((file) => existsSync(file));
  if (!found) throw new Error(`build-proto: ${path} is imported but no package ships it`);
  return found;
}

/** Some shipped files have Windows line ends. */
const readText = (file) => readFileSync(file, 'utf8').replaceAll('\r\n', '\n');

function applyPatches(path, source) {
  let text = source;
  for (const patch of patches.filter((candidate) => candidate.file === path)) {
    if (text.split(patch.after).length !== 2) {
      throw new Error(`build-proto: patch anchor not found exactly once in ${path}: ${patch.after}`);
    }
    text = text.replace(patch.after, () => patch.after + patch.insert);
  }
  return text;
}

function expandRoot(entry) {
  if (!entry.endsWith('/')) return [entry];
  const folders = includePaths.map((dir) => join(dir, entry)).filter((dir) => existsSync(dir));
  const names = folders.flatMap((dir) => readdirSync(dir)).filter((name) => name.endsWith('.proto'));
  if (names.length === 0) throw new Error(`build-proto: no .proto in ${entry}`);
  return [...new Set(names)].map((name) => entry + name);
}

/** Copies the roots and all they import, so that files that cannot compile and are not needed never matter. */
function stage(dir, more = []) {
  const wanted = [...roots, ...more].flatMap(expandRoot);
  const done = new Set();
  while (wanted.length > 0) {
    const path = wanted.pop();
    if (done.has(path) || path.startsWith('google/protobuf/')) continue;
    done.add(path);
    const text = applyPatches(path, readText(locate(path)));
    write(join(dir, path), text);
    for (const [, imported] of text.matchAll(/^import\s+(?:public\s+|weak\s+)?"([^"]+)";/gm))
      wanted.push(imported);
  }
  const unused = patches.map((patch) => patch.file).filter((file) => !done.has(file));
  if (unused.length > 0) throw new Error(`build-proto: patched but not needed: ${unused.join(', ')}`);
}

function compile(stagedDir, imageFile) {
  const buf = join(modules, '@bufbuild/buf/bin/buf');
  write(join(stagedDir, 'buf.yaml'), 'version: v2\n');
  execFileSync(process.execPath, [buf, 'build', '.', '-o', imageFile], { cwd: stagedDir, stdio: 'inherit' });
}

/**
 * Custom options are unknown fields of the options messages, because nothing has told the parser about them.
 * What is left (Java packages, Go packages) says nothing to JavaScript either.
 */
function dropOptions(value) {
  if (Array.isArray(value)) return value.forEach(dropOptions);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const [key, child] of Object.entries(value)) {
    if (key !== 'options') dropOptions(child);
    else if (child !== undefined) keepWireOptions(value, child);
  }
}

const keptOptions = [
  'packed',
  'mapEntry',
  'deprecated',
  'messageSetWireFormat',
  'jstype',
  'allowAlias',
  'features',
];

/** Keeps the options that change the wire format or the API; removes the holder when nothing is left. */
function keepWireOptions(owner, options) {
  const kept = keptOptions.filter((key) => Object.hasOwn(options, key));
  if (kept.length === 0) {
    owner.options = undefined;
    return;
  }
  delete options.$unknown;
  for (const [key, value] of Object.entries(options)) {
    if (key.startsWith('$') || kept.includes(key)) continue;
    if (Array.isArray(value)) value.length = 0;
    else delete options[key];
  }
}

function collectTypeNames(prefix, messages, add) {
  for (const message of messages) {
    const name = `${prefix}.${message.name}`;
    add(name, message);
    for (const nested of message.enumType) add(`${name}.${nested.name}`, nested);
    collectTypeNames(name, message.nestedType, add);
  }
}

function typeNamesOf(file) {
  const names = new Map();
  const prefix = file.package ? `.${file.package}` : '';
  for (const type of file.enumType) names.set(`${prefix}.${type.name}`, type);
  collectTypeNames(prefix, file.messageType, (name, type) => names.set(name, type));
  return names;
}

function referencedTypes(file) {
  const used = new Set();
  const fields = [...typeNamesOf(file).values()].flatMap((type) => ('field' in type ? type.field : []));
  for (const field of fields) if (field.typeName) used.add(field.typeName);
  for (const method of file.service.flatMap((service) => service.method)) {
    used.add(method.inputType).add(method.outputType);
  }
  return used;
}

/** Removes imports that only served the options, then the files that nothing imports any more. */
function pruneImports(files, rootNames) {
  const home = new Map();
  for (const file of files) for (const name of typeNamesOf(file).keys()) home.set(name, file.name);
  for (const file of files) {
    const needed = new Set([...referencedTypes(file)].map((name) => home.get(name)));
    needed.delete(file.name);
    file.dependency = [...needed].sort();
    file.publicDependency = [];
    file.weakDependency = [];
    file.extension = [];
  }
  const byName = new Map(files.map((file) => [file.name, file]));
  const kept = new Set();
  const visit = (name) => {
    if (kept.has(name)) return;
    byName.get(name).dependency.forEach(visit);
    kept.add(name);
  };
  rootNames.forEach(visit);
  return [...kept].map((name) => byName.get(name));
}

const isRoot = (name) =>
  roots.some((entry) => (entry.endsWith('/') ? `${dirname(name)}/` === entry : name === entry));

function strip(files) {
  dropOptions(files);
  return pruneImports(files, files.map((file) => file.name).filter(isRoot));
}

/** Talks to the plug-in directly (request on stdin, response on stdout): no second buf run over the sources. */
async function runPlugin(files, dir) {
  const { create, toBinary, fromBinary } = await import('@bufbuild/protobuf');
  const wkt = await import('@bufbuild/protobuf/wkt');
  const request = create(wkt.CodeGeneratorRequestSchema, {
    fileToGenerate: files.map((file) => file.name).filter((name) => !name.startsWith('google/protobuf/')),
    parameter: 'target=js+dts,import_extension=js',
    protoFile: files,
  });
  const plugin = join(modules, '@bufbuild/protoc-gen-es/bin/protoc-gen-es');
  const answer = execFileSync(process.execPath, [plugin], {
    input: toBinary(wkt.CodeGeneratorRequestSchema, request),
    maxBuffer: 1 << 28,
  });
  const response = fromBinary(wkt.CodeGeneratorResponseSchema, answer);
  if (response.error) throw new Error(`build-proto: protoc-gen-es: ${response.error}`);
  for (const file of response.file) write(join(dir, file.name), file.content);
  return request.fileToGenerate;
}

/** Groups generated files by namespace, and refuses a package nobody named. */
function groupByNamespace(files) {
  const groups = new Map();
  const unnamed = new Set(files.map((file) => file.package).filter((name) => !namespaces[name]));
  unnamed.delete('google.protobuf');
  if (unnamed.size > 0)
    throw new Error(`build-proto: name in scripts/proto-inputs.mjs: ${[...unnamed].join(', ')}`);
  for (const file of files.filter((candidate) => !candidate.name.startsWith('google/protobuf/'))) {
    const name = namespaces[file.package];
    groups.set(name, [...(groups.get(name) ?? []), file.name.replace(/\.proto$/, '_pb.js')]);
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const notice = '// Generated by scripts/build-proto.mjs. Do not edit.\n';

/**
 * `require` inside the bundle makes esbuild wrap each generated module in a function that runs once, when first
 * needed. A namespace is an empty object whose prototype is a proxy: the first property read loads the module and
 * turns its exports into plain own properties, so that later reads cost nothing.
 */
const lazySource = `
export function lazy(load) {
  const fill = () => {
    if (Object.getPrototypeOf(namespace) === null) return;
    Object.setPrototypeOf(namespace, null);
    Object.assign(namespace, load());
  };
  const namespace = Object.create(new Proxy(Object.create(null), {
    get(_, key) { fill(); return namespace[key]; },
    has(_, key) { fill(); return Object.hasOwn(namespace, key); },
  }));
  return namespace;
}
export function filesOf(packages) {
  const all = Object.values(packages).flatMap((namespace) => {
    void namespace.anyProperty;
    return Object.values(namespace);
  });
  return all.filter((value) => value?.kind === 'file');
}
`;

function writeEntry(groups, dir) {
  write(join(dir, 'lazy.js'), lazySource);
  const lines = [`import { filesOf, lazy } from './lazy.js';`];
  for (const [name, files] of groups) {
    write(join(dir, `ns/${name}.js`), files.map((file) => `export * from '../es/${file}';\n`).join(''));
    lines.push(`export const ${name} = /* @__PURE__ */ lazy(() => require('./ns/${name}.js'));`);
  }
  const table = Object.entries(namespaces).filter(([, name]) => groups.has(name));
  lines.push('export const packages = {', ...table.map(([key, name]) => `  '${key}': ${name},`), '};');
  lines.push('export const files = () => filesOf(packages);', '');
  write(join(dir, 'entry.js'), lines.join('\n'));
}

function writeTypes(groups, workDir, dir) {
  for (const file of listFiles(join(workDir, 'es'), '.d.ts')) {
    cpSync(join(workDir, 'es', file), join(dir, 'types', file));
  }
  const lines = [notice];
  for (const [name, files] of groups) {
    write(
      join(dir, `ns/${name}.d.ts`),
      notice + files.map((file) => `export * from '../types/${file}';\n`).join(''),
    );
    lines.push(`export * as ${name} from './ns/${name}.js';`);
  }
  lines.push(
    `import type { DescFile } from '@bufbuild/protobuf';`,
    '/** Proto package name to its namespace. */',
    'export declare const packages: Readonly<Record<string, Readonly<Record<string, unknown>>>>;',
    '/** Descriptors of all generated files. Evaluates every namespace. */',
    'export declare const files: () => DescFile[];',
    '',
  );
  write(join(dir, 'xds.d.ts'), lines.join('\n'));
}

async function bundle(workDir, outfile) {
  const { build } = await import('esbuild');
  await build({
    entryPoints: [join(workDir, 'entry.js')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // The runtime stays the npm package: one copy for us, for users and for tests.
    external: ['@bufbuild/protobuf', '@bufbuild/protobuf/*'],
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    banner: { js: notice.trim() },
    logLevel: 'warning',
  });
}

/** The rule behind `schemaOf` in src/proto/any.ts must find every message; export clashes would show up here. */
async function verify(outfile, files) {
  const generated = await import(`${pathToFileURL(outfile).href}?${process.pid}`);
  for (const file of files.filter((candidate) => !candidate.name.startsWith('google/protobuf/'))) {
    for (const [name, type] of typeNamesOf(file)) {
      if (type.options?.mapEntry) continue;
      const local = name.slice(file.package.length + 2).replaceAll('.', '_');
      const schema = generated.packages[file.package][`${local}Schema`];
      if (schema?.typeName !== name.slice(1))
        throw new Error(`build-proto: ${name} cannot be looked up by name`);
    }
  }
}

/**
 * Two renames, so that a reader never sees a half-written folder. Another build may do the same between them: try again.
 */
function publish(dir, attempts = 5) {
  const old = `${dir}.old`;
  try {
    if (existsSync(output)) renameSync(output, old);
    renameSync(dir, output);
  } catch (error) {
    if (attempts === 0) throw error;
    publish(dir, attempts - 1);
  } finally {
    rmSync(old, { recursive: true, force: true });
  }
}

/** Compiles everything, and what else is asked for, into one file of descriptors with all options; returns its path. */
export function buildImage(workDir, more = []) {
  const image = join(workDir, 'image.binpb');
  stage(join(workDir, 'src'), more);
  compile(join(workDir, 'src'), image);
  return image;
}

/**
 * Generates into `outDir`: `xds.js`, `xds.d.ts`, `ns/` and `types/`.
 * With `keepOptions` the custom options (validate rules, annotations) stay in the descriptors.
 */
export async function generate({ workDir, outDir, keepOptions = false }) {
  const image = buildImage(workDir);
  const { fromBinary } = await import('@bufbuild/protobuf');
  const { FileDescriptorSetSchema } = await import('@bufbuild/protobuf/wkt');
  const parsed = fromBinary(FileDescriptorSetSchema, readFileSync(image)).file;
  // buf marks each file with an extension of its own, which the plug-in would copy into the output.
  for (const file of parsed) delete file.$unknown;
  const files = keepOptions ? parsed : strip(parsed);
  await runPlugin(files, join(workDir, 'es'));
  const groups = groupByNamespace(files);
  writeEntry(groups, workDir);
  writeTypes(groups, workDir, outDir);
  const bundleFile = join(outDir, 'xds.js');
  await bundle(workDir, bundleFile);
  await verify(bundleFile, files);
  return groups;
}

async function main() {
  const stamp = inputStamp();
  const stampFile = join(output, '.stamp');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp && !process.argv.includes('--force'))
    return;
  const started = performance.now();
  const workDir = join(cache, String(process.pid));
  // Below src/proto so that the bundle resolves `@bufbuild/protobuf` while it is verified, and renames stay on one disk.
  const outDir = join(root, `src/proto/.gen-${process.pid}`);
  try {
    const groups = await generate({ workDir, outDir });
    writeFileSync(join(outDir, '.stamp'), stamp);
    publish(outDir);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`build-proto: ${groups.size} namespaces in ${seconds} s\n`);
  } finally {
    rmSync(workDir, { recursive: true, force: true });
    rmSync(outDir, { recursive: true, force: true });
  }
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  await main();
  // Everything that is generated is there after this script: what else is written reads some of it.
  await buildConfigTypes({ force: process.argv.includes('--force') });
}
