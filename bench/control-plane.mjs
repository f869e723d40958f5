// The control plane with many clients: from a change of an endpoint to the answer of the last client, CPU per push,
// memory per client, all clients coming back at once, how long the event loop is kept busy; and how that grows with the
// number of endpoints. The control plane is this process; a second one is all the clients (raw gRPC, no mesh in them).
//   node bench/control-plane.mjs [--clients 200,1000] [--services 1000] [--per 10] [--changes 10] [--protocol delta,sotw]
//   node bench/control-plane.mjs --growth      100, 1,000 and 10,000 endpoints: 100 services of 1, 10 and 100, 200 clients
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import { median } from './lib/table.mjs';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');
const root = fileURLToPath(new URL('..', import.meta.url));
const option = (name, or) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? or : process.argv[at + 1];
};
const isGrowth = process.argv.includes('--growth');
const SERVICES = Number(option('services', isGrowth ? '100' : '1000'));
const CHANGES = Number(option('changes', '10'));
const DEBOUNCE_MS = 100;
const inner = await load();

console.log(`Node ${process.version}, ${SERVICES} services\n`);
console.log(
  '| clients | protocol | endpoints | full sync, s | change to last ACK beyond debounce, ms: median | worst | CPU per push, us | KB per client | reconnect of all, s | loop lag p99, ms | worst |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|---|');
for (const protocol of option('protocol', 'delta,sotw').split(',')) {
  for (const clients of option('clients', isGrowth ? '200' : '200,1000')
    .split(',')
    .map(Number)) {
    for (const per of option('per', isGrowth ? '1,10,100' : '10')
      .split(',')
      .map(Number))
      await measure(protocol, clients, per);
  }
}
process.exit(0);

async function measure(protocol, clients, per) {
  const plane = await inner.createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    debounceMs: { quietMs: DEBOUNCE_MS, maxMs: 10_000 },
    settleMs: { quietMs: 50, maxMs: 100 },
    registrationGraceMs: 60_000,
  });
  const child = fork(new URL('./lib/control-plane-clients.mjs', import.meta.url));
  const ask = async (message) => {
    child.send(message);
    const [answer] = await once(child, 'message');
    return answer;
  };
  await ask({ kind: 'start', target: plane.addresses.xds, bundle: inner.outfile });
  await ask({ kind: 'serve', services: SERVICES, per });
  await sleep(DEBOUNCE_MS * 3);
  await settle();
  const before = process.memoryUsage();
  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  const sync = await ask({ kind: 'connect', protocol, clients, services: SERVICES });
  const syncLag = [lag.percentile(99) / 1e6, lag.max / 1e6];
  await settle();
  const after = process.memoryUsage();
  const taken = (usage) => usage.heapUsed + usage.external;
  const kb = (taken(after) - taken(before)) / 1024 / clients;
  lag.reset();
  const waits = [];
  const cpuBefore = process.cpuUsage();
  for (let change = 0; change < CHANGES; change++) {
    const answer = await ask({ kind: 'change', round: change });
    waits.push(answer.ms - DEBOUNCE_MS);
  }
  const cpu = process.cpuUsage(cpuBefore);
  const perPush = (cpu.user + cpu.system) / CHANGES / clients;
  const changeLag = [lag.percentile(99) / 1e6, lag.max / 1e6];
  lag.reset();
  const again = await ask({ kind: 'reconnect' });
  const againLag = [lag.percentile(99) / 1e6, lag.max / 1e6];
  const cells = [
    clients,
    protocol,
    SERVICES * per,
    (sync.ms / 1000).toFixed(2),
    median(waits).toFixed(0),
    Math.max(...waits).toFixed(0),
    perPush.toFixed(0),
    kb.toFixed(0),
    (again.ms / 1000).toFixed(2),
    [syncLag, changeLag, againLag].map(([p99]) => p99.toFixed(0)).join(' / '),
    [syncLag, changeLag, againLag].map(([, worst]) => worst.toFixed(0)).join(' / '),
  ];
  console.log(`| ${cells.join(' | ')} |`);
  child.kill();
  await plane.close();
}

/** Buffers that are gone are taken off the account some time after the collection that found them. */
async function settle() {
  for (let turn = 0; turn < 3; turn++) {
    await sleep(200);
    gc();
  }
}

async function load() {
  const folder = `${root}node_modules/.cache/inmesh-bench`;
  mkdirSync(folder, { recursive: true });
  const outfile = `${folder}/control-plane.mjs`;
  const contents = `
    export { createControlPlane } from './src/control-plane.js';
    export { encodeNode } from './src/codec/node.js';
    export { discovery } from './src/proto/xds.js';
    export { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION } from './src/codec/resource-types.js';
    export { create, toBinary } from '@bufbuild/protobuf';
    export { BinaryReader } from '@bufbuild/protobuf/wire';
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
  return { ...(await import(outfile)), outfile };
}
