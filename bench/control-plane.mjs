// The control plane with many clients: from a change of an endpoint to the answer of the last client, CPU per push,
// memory per client, all clients coming back at once, how long the event loop is kept busy; and how that grows with the
// number of endpoints. The control plane is this process; a second one is all the clients (raw gRPC, no mesh in them).
//   node bench/control-plane.mjs [--clients 200,1000] [--services 1000] [--per 10] [--changes 10] [--protocol delta,sotw]
//   node bench/control-plane.mjs --growth      100, 1,000 and 10,000 endpoints: 100 services of 1, 10 and 100, 200 clients
//   node bench/control-plane.mjs --documents [--services 10000] [--per 10] [--clients 1]
//     from a document that many resources follow from to the last ACK, and for how long the event loop stands still
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
const isDocuments = process.argv.includes('--documents');
const SERVICES = Number(option('services', isGrowth ? '100' : isDocuments ? '10000' : '1000'));
const CHANGES = Number(option('changes', '10'));
const DEBOUNCE_MS = 100;
const PER_FILE = 500;
const document = (apiVersion, kind, spec, namespace = 'default') =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: x, namespace: ${namespace} }\nspec: ${spec}\n`;
const HCM = 'envoy.filters.network.http_connection_manager';
const FAULT = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
const DOCUMENTS = {
  'first EnvoyFilter, of HTTP filters': document(
    'networking.istio.io/v1alpha3',
    'EnvoyFilter',
    `{ configPatches: [{ applyTo: HTTP_FILTER, match: { context: SIDECAR_OUTBOUND, listener: { filterChain: { filter: { name: ${HCM}, subFilter: { name: envoy.filters.http.router } } } } }, patch: { operation: INSERT_BEFORE, value: { name: envoy.filters.http.fault, typed_config: { "@type": ${FAULT} } } } }] }`,
  ),
  'first Telemetry': document(
    'telemetry.istio.io/v1',
    'Telemetry',
    '{ accessLogging: [{ providers: [{ name: envoy }] }] }',
  ),
  'MeshConfig that every cluster says': document('inmesh.dev/v1', 'MeshConfig', '{ connectTimeout: 4s }'),
  'PeerAuthentication for all, STRICT': document(
    'security.istio.io/v1',
    'PeerAuthentication',
    '{ mtls: { mode: STRICT } }',
    'istio-system',
  ),
  'PeerAuthentication for all, DISABLE': document(
    'security.istio.io/v1',
    'PeerAuthentication',
    '{ mtls: { mode: DISABLE } }',
    'istio-system',
  ),
  'VirtualService of one host': document(
    'networking.istio.io/v1',
    'VirtualService',
    '{ hosts: [s1], http: [{ timeout: 3s, route: [{ destination: { host: s1 } }] }] }',
  ),
};
const inner = await load();

console.log(`Node ${process.version}, ${SERVICES} services\n`);
if (isDocuments) {
  await measureDocuments(Number(option('clients', '1')), Number(option('per', '10')));
  process.exit(0);
}
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

/** One document after the other, each after the one before is gone. */
async function measureDocuments(clients, per) {
  // A file may have so many documents, and no more.
  const base = Array.from({ length: Math.ceil(SERVICES / PER_FILE) }, (_, at) =>
    inner.createMemorySource(
      servicesText(at * PER_FILE, Math.min(SERVICES, (at + 1) * PER_FILE)),
      `services-${at}`,
    ),
  );
  const other = inner.createMemorySource('', 'other');
  const plane = await inner.createControlPlane({
    sources: [...base, other],
    ports: { xds: 0, secureXds: 0, http: 0 },
    debounceMs: { quietMs: DEBOUNCE_MS, maxMs: 10_000 },
    settleMs: { quietMs: 50, maxMs: 100 },
  });
  const child = fork(new URL('./lib/control-plane-clients.mjs', import.meta.url));
  const ask = async (message) => {
    child.send(message);
    const [answer] = await once(child, 'message');
    return answer;
  };
  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  await ask({ kind: 'start', target: plane.addresses.xds, bundle: inner.outfile });
  // A few are enough: what documents change is much more than endpoints.
  await ask({ kind: 'serve', services: Math.min(SERVICES, 100), per });
  await sleep(DEBOUNCE_MS * 3);
  lag.reset();
  const sync = await ask({ kind: 'connect', protocol: 'delta', clients, services: SERVICES });
  console.log(
    `| document | checked, ms | to the last ACK beyond debounce, ms | CPU, ms | longest stall of the event loop, ms |`,
  );
  console.log('|---|---|---|---|---|');
  console.log(`| (the first client) | | ${sync.ms.toFixed(0)} | | ${(lag.max / 1e6).toFixed(0)} |`);
  const change = async (text) => {
    await sleep(500);
    gc();
    const begin = performance.now();
    other.set(text);
    const checked = performance.now() - begin;
    const { rejected } = plane.status();
    if (rejected !== undefined) throw new Error(JSON.stringify(rejected).slice(0, 500));
    await sleep(20);
    lag.reset();
    const cpuBefore = process.cpuUsage();
    await plane.waitApplied(undefined, { timeoutMs: 120_000 });
    const { user, system } = process.cpuUsage(cpuBefore);
    const waited = performance.now() - begin - checked - DEBOUNCE_MS;
    return [checked, waited, (user + system) / 1000, lag.max / 1e6].map((ms) => ms.toFixed(0)).join(' | ');
  };
  await change('');
  for (const [kind, spec] of Object.entries(DOCUMENTS)) {
    console.log(`| ${kind} | ${await change(spec)} |`);
    console.log(`| the same, gone | ${await change('')} |`);
  }
  child.kill();
  await plane.close();
}

function servicesText(first, end) {
  return Array.from(
    { length: end - first },
    (_, at) =>
      `apiVersion: v1\nkind: Service\nmetadata: { name: s${first + at} }\nspec: { selector: { app: s${first + at} }, ports: [{ name: http, port: 80 }] }\n`,
  ).join('---\n');
}

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
    export { createControlPlane, createMemorySource } from './src/control-plane.js';
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
