// What the mesh costs a client of gRPC: CPU per call and per message, latency, throughput and memory, against a plain
// channel of grpc-js and against grpc-js-xds on the same control plane. Every client has a process of its own; they take
// turns of a third of a second, and a ratio is the median of the turns' ratios.
//   node bench/grpc.mjs [--seconds 3] [--rounds 5] [--concurrency 32] [--only text,text]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlPlane } from 'inmesh/control-plane';
import { pinning } from './lib/pinning.mjs';
import { median, Table } from './lib/table.mjs';

const argument = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const seconds = Number(argument('seconds') ?? 3);
const rounds = Number(argument('rounds') ?? 5);
const concurrency = Number(argument('concurrency') ?? 32);
const only = (argument('only') ?? '').split(',');
const isWanted = (name) => only.some((part) => name.includes(part));
const LOADS = ['unary', 'server streaming', 'client streaming'].filter(isWanted);
const CLIENTS = (argument('clients') ?? 'grpc-js,mesh,grpc-js-xds').split(',');

const documents = (port) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: echo }
spec:
  hosts: [echo.bench]
  ports: [{ number: 50051, name: grpc, protocol: GRPC }]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${port} } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: echo }
spec:
  hosts: [echo.bench]
  http:
    - route: [{ destination: { host: echo.bench } }]
      retries: { attempts: 2, retryOn: "unavailable,cancelled" }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: echo }
spec:
  host: echo.bench
  trafficPolicy:
    connectionPool: { http: { http2MaxRequests: 1024 } }
    tls: { mode: DISABLE }
`;

const pin = pinning();
const folder = mkdtempSync(join(tmpdir(), 'inmesh-bench-'));
const plane = await createControlPlane({ config: [folder], ports: { xds: 0, secureXds: 0, http: 0 } });
const upstream = fork(new URL('lib/grpc-upstream.mjs', import.meta.url));
pin(upstream.pid, 'last');
const [{ port }] = await once(upstream, 'message');
writeFileSync(join(folder, 'mesh.yaml'), documents(port));
const world = { controlPlane: plane.addresses.xds, port, concurrency };

console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}`);
console.log(
  `${rounds} rounds of ${seconds} s, median [min-max]; ${concurrency} unary calls in flight, or one stream\n`,
);
for (const load of LOADS) await compare(load);
upstream.kill();
await plane.close();
rmSync(folder, { recursive: true });
process.exit(0);

async function compare(load) {
  const results = await alternate(load);
  const [base] = CLIENTS;
  const what = load === 'unary' ? 'call' : 'message';
  const table = new Table([
    `${load}: client`,
    `CPU per ${what}, us`,
    'ratio',
    `${what}s/s`,
    'ratio',
    'p50 ms',
    'p99 ms',
    'RSS MB',
  ]);
  const against = (name, key) =>
    median(results.get(name).map((one, turn) => one[key] / results.get(base)[turn][key]));
  for (const [name, list] of results) {
    const [cpu, rate] = [against(name, 'cpuUs'), against(name, 'rate')];
    table.row(name, list, ['cpuUs', 1], cpu, ['rate', 0], rate, ['p50', 2], ['p99', 2], ['rssMb', 0]);
  }
  table.print();
}

async function alternate(load) {
  const results = new Map(CLIENTS.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const clients = [];
    for (const name of CLIENTS) clients.push({ name, process: await start(name, load) });
    for (let spent = 0; spent < seconds; spent += 0.3) {
      for (const { name, process: client } of clients) {
        client.send({ ms: 300 });
        const [result] = await once(client, 'message');
        results.get(name).push(result);
      }
      clients.reverse();
    }
    for (const { process: client } of clients) {
      client.send({ end: true });
      await once(client, 'exit');
    }
  }
  return results;
}

async function start(name, load) {
  const client = fork(new URL('lib/grpc-client.mjs', import.meta.url), [name, load, JSON.stringify(world)]);
  pin(client.pid, 'first');
  await once(client, 'message');
  return client;
}
