/**
 * `npm run lock`, after a change of dependencies: adds to package-lock.json the packages of other platforms that the
 * registry in use does not carry. npm leaves such optional packages out without a word, and then `npm ci` refuses the
 * lock file ("Missing: … from lock file"), here and everywhere else. Versions are the exact pins of the parent;
 * there is no integrity to record for what cannot be fetched.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const file = join(import.meta.dirname, '../package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const processors = { aarch64: 'arm64', arm64: 'arm64', armv7: 'arm', arm: 'arm', x64: 'x64', ia32: 'ia32' };
const rareProcessors = { ppc64: 'ppc64', riscv64: 'riscv64', s390x: 's390x', loong64: 'loong64' };
const libraries = { gnu: 'glibc', gnueabihf: 'glibc', musl: 'musl', musleabihf: 'musl' };

/** Names say it all: `@oxlint/binding-linux-arm64-musl`. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-');
  const pick = (table) => words.map((word) => table[word]).find(Boolean);
  const os = words.find((word) => systems.includes(word));
  const cpu = pick({ ...processors, ...rareProcessors });
  const libc = pick(libraries);
  return {
    ...(cpu && { cpu: [cpu] }),
    ...(os && { os: [os] }),
    ...(os === 'linux' && libc && { libc: [libc] }),
  };
}

/** Where Node looks for `name` from inside `path`, nearest first. */
function lookups(path, name) {
  const parents = [...path.matchAll(/(?:^|\/)node_modules\//g)].map((match) => path.slice(0, match.index));
  return [path, ...parents.toReversed()].map((base) => `${base && `${base}/`}node_modules/${name}`);
}

const added = [];
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries((path && entry.optionalDependencies) || {})) {
    const known = lookups(path, name).some((place) => lock.packages[place]);
    if (known || !/^\d+\.\d+\.\d+/.test(version)) continue;
    const flags = { ...(entry.dev && { dev: true }), optional: true };
    lock.packages[`node_modules/${name}`] = { version, ...platformOf(name), ...flags };
    added.push(`${name}@${version}`);
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
if (added.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`complete-lock: ${added.length} added ${added.join(' ')}\n`);
