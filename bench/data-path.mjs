// What the mesh costs a client: CPU per request and latency against bare undici, other resilience libraries, and two
// proxy hops, in one run. Every variant has a process of its own, a fresh one per round; they take turns of a third of a
// second, and a ratio is the median of the turns' ratios, so that drift of the machine falls on all alike. Client on the first core, everything else on the last, where taskset is there to say so.
//   npm run bench -- [--seconds 3] [--rounds 5] [--concurrency 50] [--only text,text]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMesh } from 'inmesh';
import { createControlPlane } from 'inmesh/control-plane';
import { meshDocuments } from './lib/config.mjs';
import { findNginx, startHops } from './lib/nginx.mjs';
import { pinning } from './lib/pinning.mjs';
import { median, Table } from './lib/table.mjs';

const argument = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const seconds = Number(argument('seconds') ?? 3);
const rounds = Number(argument('rounds') ?? 5);
const concurrency = Number(argument('concurrency') ?? 50);
const only = argument('only') ?? '';

/** Each part has its own base line: the row that the others are divided by. */
const PARTS = [
  { base: 'Pool.dispatch', rows: ['Pool.dispatch', 'MeshDispatcher.dispatch'] },
  {
    base: 'Pool.request',
    rows: [
      'Pool.request',
      'MeshDispatcher.request',
      'RetryAgent',
      'opossum(request)',
      'p-retry(request)',
      'cockatiel(retry, breaker, timeout)',
    ],
  },
  { base: 'undici.request(url)', rows: ['undici.request(url)', 'undici.request(url), mesh'] },
  { base: 'undici.fetch', rows: ['undici.fetch', 'mesh.fetch'] },
  { base: 'Pool.request, mTLS', rows: ['Pool.request, mTLS', 'MeshDispatcher.request, mTLS'] },
].map(({ base, rows }) => ({
  base,
  rows: rows.filter((name) => only.split(',').some((part) => name.includes(part))),
}));
/** Compared by the CPU of all processes together, and by latency with one request at a time. */
const HOPS = ['Pool.request', 'MeshDispatcher.request, mTLS', 'two nginx hops, mTLS between'];

const pin = pinning();
const folder = mkdtempSync(join(tmpdir(), 'inmesh-bench-'));
const plane = await createControlPlane({ config: [folder], ports: { xds: 0, secureXds: 0, http: 0 } });
const upstream = fork(new URL('lib/upstream.mjs', import.meta.url), [plane.addresses.xds]);
pin(upstream.pid, 'last');
const [ports] = await once(upstream, 'message');
writeFileSync(join(folder, 'mesh.yaml'), meshDocuments(ports.bare));
const hops = await startSidecars();
const world = { controlPlane: plane.addresses.xds, ...ports, proxy: hops?.port, seconds, concurrency };

console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}`);
console.log(`1 KiB answers, ${concurrency} in flight, ${rounds} rounds of ${seconds} s, median [min-max]\n`);
for (const part of PARTS) await compare(part);
if (only === '') await compareHops();
hops?.close();
upstream.kill();
await plane.close();
rmSync(folder, { recursive: true });
process.exit(0);

async function compare({ base, rows }) {
  if (rows.length === 0) return;
  const results = await alternate(rows, world, 0.3);
  const table = new Table(['client', 'CPU per request, us', 'ratio', 'rps', 'p50 ms', 'p99 ms', 'p99 ratio']);
  const against = (name, key) =>
    median(results.get(name).map((one, turn) => one[key] / results.get(base)[turn][key]));
  for (const [name, list] of results) {
    table.row(
      name,
      list,
      ['cpuUs', 1],
      against(name, 'cpuUs'),
      ['rps', 0],
      ['p50', 2],
      ['p99', 2],
      against(name, 'p99'),
    );
  }
  table.print();
}

async function compareHops() {
  const names = hops === undefined ? HOPS.slice(0, 2) : HOPS;
  if (hops === undefined)
    console.log('nginx is not installed (Debian: apt-get install nginx-light): no rows for it\n');
  const busy = await alternate(names, world, 1);
  const single = await alternate(names, { ...world, concurrency: 1 }, 1);
  const [direct] = names;
  const added = (results, name, key) =>
    median(results.get(name).map((one, turn) => one[key] - results.get(direct)[turn][key]));
  const table = new Table([
    'path',
    `CPU of all processes, us, ${concurrency} in flight`,
    'added us',
    'p50 ms, 1 in flight',
    'added ms',
  ]);
  for (const name of names) {
    table.pairs(
      name,
      [busy.get(name), 'totalUs', 1],
      added(busy, name, 'totalUs'),
      [single.get(name), 'p50', 3],
      added(single, name, 'p50'),
    );
  }
  table.print();
}

/** All clients of a table run at once, each in its own process, and drive requests in turns of a fraction of a second. */
async function alternate(names, settings, turn) {
  const results = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const clients = [];
    for (const name of names) clients.push({ name, process: await start(name, settings) });
    for (let spent = 0; spent < seconds; spent += turn) {
      for (const { name, process } of clients) results.get(name).push(await drive(process, turn));
      clients.reverse();
    }
    for (const client of clients) await stop(client.process);
  }
  return results;
}

async function start(name, settings) {
  const client = fork(new URL('lib/client.mjs', import.meta.url), [name, JSON.stringify(settings)]);
  pin(client.pid, 'first');
  await once(client, 'message');
  return client;
}

async function stop(client) {
  client.send({ end: true });
  await once(client, 'exit');
}

async function drive(client, turn) {
  const others = [upstream.pid, ...(hops?.pids ?? [])];
  const before = others.map(cpuMs);
  client.send({ ms: turn * 1000 });
  const [result] = await once(client, 'message');
  const elsewhereMs = others.reduce((sum, pid, at) => sum + cpuMs(pid) - before[at], 0);
  return { ...result, totalUs: result.cpuUs + (elsewhereMs * 1000) / result.requests };
}

/** CPU time of a process so far, by the kernel's clock ticks (10 ms). */
function cpuMs(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return 0;
  }
}

async function startSidecars() {
  const binary = findNginx();
  if (binary === undefined) return undefined;
  const mesh = await createMesh({ service: 'proxy', cacheDir: false, controlPlane: plane.addresses.xds });
  await mesh.ready();
  const svid = mesh.identity.svid();
  const bundle = mesh.identity.bundle(svid.id.trustDomain);
  const started = await startHops(binary, join(folder, 'nginx'), ports.bare, { svid, bundle }, []);
  for (const pid of started.pids) pin(pid, 'last');
  await mesh.close();
  return started;
}
