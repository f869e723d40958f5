// Choosing a route: time per request, by the number of virtual hosts and of routes in one,
// with the index and by a plain reading of the table (routing/select-route.ts).
//   node bench/routing.mjs [--ms 150]
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { compileRoutes, selectRoute, HeaderMap } = await load();
const at = process.argv.indexOf('--ms');
const MEASURE_MS = at < 0 ? 150 : Number(process.argv[at + 1]);
const SIZES = [10, 100, 1000, 10_000];

/** The router is no public API: it is bundled from its sources. */
async function load() {
  const folder = `${root}node_modules/.cache/inmesh-bench`;
  mkdirSync(folder, { recursive: true });
  const outfile = `${folder}/routing.mjs`;
  const contents = `
    export { compileRoutes } from './src/routing/router.js';
    export { selectRoute } from './src/routing/select-route.js';
    export { HeaderMap } from './src/service/headers.js';
  `;
  await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'error',
  });
  return import(outfile);
}

const route = (name, path, headers = []) => ({
  name,
  match: { path, headers, queryParameters: [], runtimeFraction: undefined, grpcOnly: false },
  action: { kind: 'non-forwarding' },
  filterOverrides: new Map(),
});
const host = (name, domains, routes) => ({
  name,
  domains,
  routes,
  filterOverrides: new Map(),
  includeRequestAttemptCount: false,
});
const header = (value) => ({
  name: 'x-user',
  match: { kind: 'string', matcher: { kind: 'exact', value, ignoreCase: false } },
  invert: false,
  treatMissingAsEmpty: false,
});
const head = (authority, path, lines = []) => ({
  method: 'GET',
  scheme: 'http',
  authority,
  path,
  headers: HeaderMap.fromLines(lines),
});
const numbers = (size) => Array.from({ length: size }, (_, i) => i);
const one = (size, toRoute) => ({
  name: 'table',
  virtualHosts: [host('v', ['*'], numbers(size).map(toRoute))],
});
const exact = (value) => ({ kind: 'path', value, caseSensitive: true });
const prefix = (value) => ({ kind: 'prefix', value, caseSensitive: true });

/** Tables of a size, and the request whose route stands last. */
const SHAPES = {
  'virtual hosts, exact': (size) => [
    {
      name: 'table',
      virtualHosts: numbers(size).map((i) => host(`v${i}`, [`host-${i}.example`], [route('r', prefix('/'))])),
    },
    head(`host-${size - 1}.example`, '/'),
  ],
  'virtual hosts, *.suffix': (size) => [
    {
      name: 'table',
      virtualHosts: numbers(size).map((i) =>
        host(`v${i}`, [`*.zone-${i}.example`], [route('r', prefix('/'))]),
      ),
    },
    head(`a.zone-${size - 1}.example`, '/'),
  ],
  'routes by path': (size) => [
    one(size, (i) => route(`r${i}`, exact(`/api/${i}/items`))),
    head('h', `/api/${size - 1}/items`),
  ],
  'routes by prefix': (size) => [
    one(size, (i) => route(`r${i}`, prefix(`/api/${i}/`))),
    head('h', `/api/${size - 1}/items/7`),
  ],
  'routes by template': (size) => [
    one(size, (i) => route(`r${i}`, { kind: 'template', template: `/api/${i}/{id}` })),
    head('h', `/api/${size - 1}/7`),
  ],
  'routes by regex': (size) => [
    one(size, (i) => route(`r${i}`, { kind: 'regex', pattern: `/api/${i}/[0-9]+` })),
    head('h', `/api/${size - 1}/7`),
  ],
  'routes by header': (size) => [
    one(size, (i) => route(`r${i}`, prefix('/'), [header(`user-${i}`)])),
    head('h', '/', ['accept', '*/*', 'x-user', `user-${size - 1}`]),
  ],
  'regex without a prefix': (size) => [
    one(size, (i) => route(`r${i}`, { kind: 'regex', pattern: `.*/${i}/[0-9]+` })),
    head('h', `/api/${size - 1}/7`),
  ],
};

/** Nanoseconds per call, after a warm-up. */
function measure(call) {
  const run = (ms) => {
    let calls = 0;
    const from = performance.now();
    let spent = 0;
    while (spent < ms) {
      for (let i = 0; i < 16; i++) call();
      calls += 16;
      spent = performance.now() - from;
    }
    return (spent * 1e6) / calls;
  };
  run(MEASURE_MS / 2);
  return run(MEASURE_MS);
}

const text = (value) => (value >= 10_000 ? `${Math.round(value / 1000)} us` : `${Math.round(value)} ns`);
console.log(
  `${'table'.padEnd(26)}${SIZES.map((size) => String(size).padStart(12)).join('')}   plain reading of ${SIZES[2]}`,
);
for (const [name, shape] of Object.entries(SHAPES)) {
  const cells = SIZES.map((size) => {
    const [config, request] = shape(size);
    const router = compileRoutes(config);
    if (router.select(request, 0.5) === undefined) throw new Error(`${name}: no route`);
    return text(measure(() => router.select(request, 0.5))).padStart(12);
  });
  const [config, request] = shape(SIZES[2]);
  const plain = text(measure(() => selectRoute(config, request, 0.5)));
  console.log(`${name.padEnd(26)}${cells.join('')}   ${plain}`);
}
