// What the mesh costs a client: CPU per request and latency against the bare library, in one run.
// Every variant runs in a fresh process, in turns, so that drift of the machine falls on all alike.
//   node bench/data-path.mjs [--seconds 3] [--rounds 3] [--concurrency 50] [--mtls]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlPlane } from 'inmesh/control-plane';

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const seconds = option('seconds', 3);
const rounds = option('rounds', 3);
const concurrency = option('concurrency', 50);
const mtls = process.argv.includes('--mtls');

/** Each bare client, and the same call through the mesh. */
const VARIANTS = [
  'Pool.request',
  'MeshDispatcher.request',
  'undici.request(url) + Agent',
  'undici.request(url) + MeshDispatcher',
  'fetch + undici Agent',
  'mesh.fetch',
];

const folder = mkdtempSync(join(tmpdir(), 'inmesh-bench-'));
// Bare undici has no TLS here, so by default the mesh gets none either: this compares mesh logic, not handshakes.
writeFileSync(
  join(folder, 'mesh.yaml'),
  `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: echo }
spec: { host: echo, trafficPolicy: { tls: { mode: ${mtls ? 'ISTIO_MUTUAL' : 'DISABLE'} } } }
`,
);
const plane = await createControlPlane({ config: [folder], ports: { xds: 0, secureXds: 0, http: 0 } });
const upstream = fork(new URL('lib/upstream.mjs', import.meta.url), [plane.addresses.xds]);
const [ports] = await once(upstream, 'message');

const results = new Map(VARIANTS.map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  const order = round % 2 === 0 ? VARIANTS : VARIANTS.toReversed();
  for (const name of order) results.get(name).push(await measure(name));
}
upstream.kill();
await plane.close();
rmSync(folder, { recursive: true });
report();

async function measure(name) {
  const args = [name, plane.addresses.xds, ports.bare, seconds, concurrency].map(String);
  const client = fork(new URL('lib/client.mjs', import.meta.url), args);
  const [result] = await once(client, 'message');
  await once(client, 'exit');
  return result;
}

function report() {
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}`);
  console.log(
    `1 KiB answers, ${concurrency} in flight, ${rounds} rounds of ${seconds} s, median [min-max]; mesh TLS ${mtls ? 'on' : 'off'}\n`,
  );
  console.log('| client | CPU per request, us | rps | p50 ms | p99 ms |\n| --- | --- | --- | --- | --- |');
  for (const [name, list] of results) {
    const of = (key, digits) => {
      const sorted = list.map((one) => one[key]).sort((a, b) => a - b);
      const show = (value) => value.toFixed(digits);
      return `${show(sorted[Math.floor(sorted.length / 2)])} [${show(sorted[0])}-${show(sorted.at(-1))}]`;
    };
    console.log(`| ${name} | ${of('cpuUs', 1)} | ${of('rps', 0)} | ${of('p50', 2)} | ${of('p99', 2)} |`);
  }
}
