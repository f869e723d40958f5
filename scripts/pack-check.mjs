/**
 * Looks at the package as a stranger gets it: packs, installs the tarball into an empty folder, imports every sub-path
 * in a fresh process, type-checks a consumer, runs the bin. Needs a built `dist/`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Growth beyond this wants a decision, not an accident. */
const maxPackedBytes = 1_850_000;
const maxUnpackedBytes = 7_800_000;

/** protobufjs (through grpc-js) only prints a version notice: it works when npm blocks the script. */
const toleratedScripts = ['protobufjs'];

const subPaths = Object.entries(manifest.exports)
  .filter(([, target]) => typeof target === 'object')
  .map(([subPath]) => manifest.name + subPath.slice(1));

const problems = [];
const check = (ok, problem) => {
  if (!ok) problems.push(problem);
};

const npm = (args, cwd) =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });

function pack(dir) {
  const [tarball] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', dir], root));
  const files = tarball.files.map((file) => file.path);
  check(tarball.size <= maxPackedBytes, `packed size ${tarball.size} is over ${maxPackedBytes}`);
  check(
    tarball.unpackedSize <= maxUnpackedBytes,
    `unpacked size ${tarball.unpackedSize} is over ${maxUnpackedBytes}`,
  );
  for (const wanted of ['LICENSE', 'README.md', 'package.json', 'docs/openapi.json'])
    check(files.includes(wanted), `${wanted} is not packed`);
  const strange = files.filter(
    (file) => !/^(dist\/|docs\/openapi\.json$|LICENSE$|README\.md$|CHANGELOG\.md$|package\.json$)/.test(file),
  );
  check(strange.length === 0, `packed by accident: ${strange.join(', ')}`);
  process.stdout.write(
    `packed ${files.length} files, ${tarball.size} bytes (${tarball.unpackedSize} unpacked)\n`,
  );
  return join(dir, tarball.filename);
}

function install(dir, tarball) {
  writeFileSync(
    join(dir, 'package.json'),
    JSON.stringify({ name: 'stranger', private: true, type: 'module' }),
  );
  npm(['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball], dir);
}

/** npm 12 does not run install scripts, so nothing that ships may need one. */
function checkScripts(dir) {
  const lock = JSON.parse(readFileSync(join(dir, 'package-lock.json'), 'utf8'));
  const names = Object.entries(lock.packages)
    .filter(([, entry]) => entry.hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
  const unknown = names.filter((name) => !toleratedScripts.includes(name));
  check(unknown.length === 0, `install scripts: ${unknown.join(', ')}`);
  const own = ['preinstall', 'install', 'postinstall', 'prepare'].filter((name) => manifest.scripts[name]);
  check(own.length === 0, `own life-cycle scripts: ${own.join(', ')}`);
}

function importAll(dir) {
  for (const name of subPaths) {
    const code = `const t = performance.now(); const m = await import('${name}');
      console.log(Math.round(performance.now() - t), Object.keys(m).length);`;
    try {
      // A script that imports the SDK ends by itself; the timeout is what notices if not.
      const options = { cwd: dir, encoding: 'utf8', timeout: 20_000 };
      const [ms, count] = execFileSync(process.execPath, ['--input-type=module', '-e', code], options).split(
        ' ',
      );
      process.stdout.write(`import ${name}: ${Number(count)} exports, ${ms} ms\n`);
    } catch (error) {
      problems.push(`import ${name}: ${error.message}`);
    }
  }
}

/** Strict, and with the declarations themselves checked: a type from a missing package shows up here. */
function typeCheck(dir) {
  const lines = subPaths.map((name, i) => `import * as m${i} from '${name}';\nexport { m${i} };\n`);
  writeFileSync(join(dir, 'consumer.ts'), lines.join(''));
  const options = { strict: true, noEmit: true, skipLibCheck: false, module: 'nodenext', target: 'es2023' };
  const libraries = {
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  };
  const config = { compilerOptions: { ...options, ...libraries }, files: ['consumer.ts'] };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config));
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/@typescript/native/bin/tsc'), '-p', '.'], {
      cwd: dir,
      encoding: 'utf8',
    });
  } catch (error) {
    // Errors inside other packages' declarations are theirs.
    const ours = error.stdout
      .split('\n')
      .filter((line) => /^(consumer\.ts|node_modules\/inmesh\/)/.test(line));
    check(ours.length === 0, `type check of a consumer:\n${ours.join('\n')}`);
  }
}

function runBin(dir) {
  for (const name of Object.keys(manifest.bin)) {
    try {
      const options = { cwd: dir, encoding: 'utf8', timeout: 20_000 };
      const version = execFileSync(join(dir, 'node_modules/.bin', name), ['--version'], options).trim();
      check(version.includes(manifest.version), `${name} --version says ${version}`);
    } catch (error) {
      problems.push(`${name} --version: ${error.message}`);
    }
  }
}

const dir = mkdtempSync(join(tmpdir(), 'inmesh-pack-'));
try {
  install(dir, pack(dir));
  checkScripts(dir);
  importAll(dir);
  typeCheck(dir);
  runBin(dir);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
for (const problem of problems) process.stderr.write(`pack-check: ${problem}\n`);
if (problems.length > 0) process.exitCode = 1;
