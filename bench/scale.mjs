// What size costs: picking a host, applying endpoints, memory of idle clusters and endpoints, loading many clusters.
// Everything goes through the codec and the running clusters; connections are made on use only, so none is here.
//   node bench/scale.mjs [--ms 200]
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import { median } from './lib/table.mjs';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');
const root = fileURLToPath(new URL('..', import.meta.url));
const inner = await load();
await inner.loadHashes();
/** One for all clusters, as a mesh has it. */
const agenda = inner.createAgenda(inner.systemClock);
let made;
const at = process.argv.indexOf('--ms');
const MEASURE_MS = at < 0 ? 200 : Number(process.argv[at + 1]);

const ANY = { priority: 'default', avoid: undefined, selectionAttempts: 1 };
const { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, wire } = inner;
console.log(`Node ${process.version}\n`);
picks();
await updates();
memory();
loading();
process.exit(0);

function picks() {
  console.log('| one pick, ns | 10 hosts | 1,000 hosts | 10,000 hosts |\n| --- | --- | --- | --- |');
  for (const policy of ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'RING_HASH', 'MAGLEV']) {
    const cells = [10, 1000, 10_000].map((count) => timePick(policy, count).toFixed(0));
    console.log(`| ${policy} | ${cells.join(' | ')} |`);
  }
}

function timePick(lbPolicy, count) {
  const cluster = start(clusterOf('c', { lbPolicy }), endpointsOf('c', count));
  let key = 0n;
  const context = {
    priority: 'default',
    avoid: undefined,
    selectionAttempts: 1,
    request: {},
    hash: () => {
      key = (key * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
      return key;
    },
  };
  // Tables of hashes are built by the first pick, in slices when that takes long.
  const until = performance.now() + 1000;
  while (performance.now() < until && cluster.pick(context) === undefined);
  const rounds = [];
  for (let round = 0; round < 5; round++) {
    let picked = 0;
    const begin = performance.now();
    while (performance.now() - begin < MEASURE_MS / 5) {
      for (let i = 0; i < 1000; i++) cluster.pick(context);
      picked += 1000;
    }
    rounds.push(((performance.now() - begin) * 1e6) / picked);
  }
  void cluster.close();
  return median(rounds);
}

/** What the xDS client does with a new value, its pauses included: decoding in slices, then one application. */
async function updates() {
  console.log(
    '\n| endpoints | first time, ms | 1 % changed | all changed | nothing changed | longest pause |',
  );
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const count of [1000, 10_000]) {
    const resource = clusterOf('c', {});
    const rounds = { first: [], few: [], all: [], same: [], pause: [] };
    const first = bytesOf('c', count);
    const few = bytesOf('c', count, (i) => i % 100 === 0);
    const all = bytesOf('c', count, (i) => i % 100 !== 0);
    for (let round = 0; round < 9; round++) {
      const cluster = start(resource, undefined);
      const pauses = [];
      let held;
      const take = (message) => {
        // What comes from the network is new each time; the garbage of making it is not to be counted.
        const bytes = message.slice();
        gc({ type: 'minor' });
        const { totalMs, value } = inSlices(CLUSTER_LOAD_ASSIGNMENT.decodeInSteps(bytes, held), pauses);
        held = { bytes, resource: value.resource };
        const applyMs = time(() => {
          cluster.update({ cluster: resource, assignment: value.resource });
          cluster.pick(ANY);
        });
        pauses.push(applyMs);
        return totalMs + applyMs;
      };
      rounds.first.push(take(first));
      rounds.few.push(take(few));
      rounds.same.push(take(few));
      rounds.all.push(take(all));
      rounds.pause.push(Math.max(...pauses));
      await cluster.close();
    }
    const of = (name) => median(rounds[name]).toFixed(2);
    console.log(
      `| ${count} | ${of('first')} | ${of('few')} | ${of('all')} | ${of('same')} | ${of('pause')} |`,
    );
  }
}

/** Works until five milliseconds are over, as the client's inbox does, and notes how long each slice took. */
function inSlices(steps, pauses) {
  let totalMs = 0;
  for (;;) {
    const begin = performance.now();
    let step = steps.next();
    while (step.done !== true && performance.now() - begin < 5) step = steps.next();
    const tookMs = performance.now() - begin;
    pauses.push(tookMs);
    totalMs += tookMs;
    if (step.done === true) return { totalMs, value: step.value };
  }
}

function memory() {
  console.log('\n| memory after a full collection | bytes |\n| --- | --- |');
  const idle = heapOf(() =>
    Array.from({ length: 1000 }, (_, i) => start(clusterOf(`c${i}`, {}), endpointsOf(`c${i}`, 0))),
  );
  console.log(`| an idle cluster without endpoints | ${(idle / 1000).toFixed(0)} |`);
  const endpoints = heapOf(() => start(clusterOf('c', {}), endpointsOf('c', 10_000)));
  console.log(`| an endpoint of 10,000 | ${(endpoints / 10_000).toFixed(0)} |`);
}

function loading() {
  const names = Array.from({ length: 1000 }, (_, i) => `c${i}`);
  const outbound = new Map();
  const encoded = names.map((name) => [wire.cluster({ name, outlierDetection: {} }), bytesOf(name, 10)]);
  const clusters = inner.createClusters(tools());
  let snapshot;
  const loadMs = time(() => {
    snapshot = new Map(
      encoded.map(([cluster, endpoints], i) => [
        names[i],
        {
          cluster: CLUSTER.decode(cluster).resource,
          assignment: CLUSTER_LOAD_ASSIGNMENT.decode(endpoints).resource,
        },
      ]),
    );
    clusters.reconcile(snapshot);
  });
  const oneMs = median(
    Array.from({ length: 9 }, (_, round) => {
      const changed = CLUSTER_LOAD_ASSIGNMENT.decode(bytesOf('c500', 10 + round)).resource;
      return time(() => {
        const view = { assignment: () => changed };
        snapshot = inner.withAssignments(view, { outbound, clusters: snapshot }, ['c500']).clusters;
        clusters.reconcile(snapshot);
      });
    }),
  );
  console.log('\n| 1,000 clusters with 10 endpoints each | ms |\n| --- | --- |');
  console.log(
    `| decoded and running | ${loadMs.toFixed(0)} |\n| one of them changed | ${oneMs.toFixed(2)} |`,
  );
}

/** Shared by all clusters, as in a mesh. */
function tools() {
  made ??= {
    clock: inner.systemClock,
    agenda,
    random: inner.seededRandom(1),
    observer: {},
    logger: inner.silentLogger,
    transport: () => ({
      service: () => Promise.reject(new Error('nothing is sent here')),
      close: async () => {},
    }),
  };
  return made;
}

function start(cluster, assignment) {
  return inner.createCluster({ cluster, assignment }, tools());
}

function clusterOf(name, change) {
  const { lbPolicy = 'LEAST_REQUEST' } = change;
  return CLUSTER.decode(wire.cluster({ name, lbPolicy, outlierDetection: {} })).resource;
}

function endpointsOf(name, count) {
  return CLUSTER_LOAD_ASSIGNMENT.decode(bytesOf(name, count)).resource;
}

/** Endpoints as our control plane sends them, with their workload; `isOther` gives some another address. */
function bytesOf(name, count, isOther = () => false) {
  const addresses = Array.from(
    { length: count },
    (_, i) => `${isOther(i) ? 11 : 10}.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
  );
  return wire.endpoints(name, addresses);
}

function heapOf(make) {
  gc();
  const before = process.memoryUsage().heapUsed;
  const kept = make();
  gc();
  const bytes = process.memoryUsage().heapUsed - before;
  // Kept until here.
  if (kept === undefined) throw new Error('nothing was made');
  return bytes;
}

function time(work) {
  const begin = performance.now();
  work();
  return performance.now() - begin;
}

/** None of this is public API: it is bundled from its sources. */
async function load() {
  const folder = `${root}node_modules/.cache/inmesh-bench`;
  mkdirSync(folder, { recursive: true });
  const outfile = `${folder}/scale.mjs`;
  const contents = `
    import { fromJson, toBinary } from '@bufbuild/protobuf';
    import { cluster, endpoint } from './src/proto/xds.js';
    export { CLUSTER, CLUSTER_LOAD_ASSIGNMENT } from './src/codec/resource-types.js';
    export { createCluster } from './src/cluster/cluster.js';
    export { createClusters } from './src/cluster/clusters.js';
    export { withAssignments } from './src/xds/changed-assignments.js';
    export { createAgenda } from './src/runtime/agenda.js';
    export { systemClock } from './src/runtime/clock.js';
    export { loadHashes } from './src/runtime/hash.js';
    export { silentLogger } from './src/runtime/log.js';
    export { seededRandom } from './src/runtime/random.js';
    export const wire = {
      cluster: (json) => toBinary(cluster.ClusterSchema, fromJson(cluster.ClusterSchema, {
        type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } }, ...json,
      })),
      endpoints: (name, addresses) => toBinary(endpoint.ClusterLoadAssignmentSchema, fromJson(endpoint.ClusterLoadAssignmentSchema, {
        clusterName: name,
        endpoints: [{ locality: {}, loadBalancingWeight: 1, lbEndpoints: addresses.map((address) => ({
          endpoint: { address: { socketAddress: { address, portValue: 8080 } } },
          loadBalancingWeight: 1,
          metadata: { filterMetadata: { istio: { workload: 'reviews;default;reviews;v1;Kubernetes' }, 'envoy.lb': { version: 'v1' } } },
        })) }],
      })),
    };
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
