// Whether the heap of a client grows: millions of requests through the full stack, the heap after a full collection now and
// then. The first tenth is warm-up; what grows after it would grow on.
//   node bench/heap.mjs [--requests 10000000] [--concurrency 50]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlPlane } from 'inmesh/control-plane';
import { meshDocuments } from './lib/config.mjs';

const argument = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const requests = Number(argument('requests') ?? 10_000_000);
const concurrency = Number(argument('concurrency') ?? 50);

const folder = mkdtempSync(join(tmpdir(), 'inmesh-heap-'));
const plane = await createControlPlane({ config: [folder], ports: { xds: 0, secureXds: 0, http: 0 } });
const upstream = fork(new URL('lib/upstream.mjs', import.meta.url), [plane.addresses.xds]);
const [ports] = await once(upstream, 'message');
writeFileSync(join(folder, 'mesh.yaml'), meshDocuments(ports.bare));
const world = { controlPlane: plane.addresses.xds, ...ports, concurrency };
const client = fork(
  new URL('lib/heap-client.mjs', import.meta.url),
  [String(requests), JSON.stringify(world)],
  {
    execArgv: ['--expose-gc'],
  },
);
console.log(`Node ${process.version}, ${requests} requests, ${concurrency} in flight\n`);
console.log('| requests | heap after collection, KiB | objects outside, KiB | rss, MiB |');
console.log('| --- | --- | --- | --- |');
const heaps = [];
client.on('message', ({ done, heap, external, rss }) => {
  heaps.push(heap);
  const kib = (bytes) => (bytes / 1024).toFixed(0);
  console.log(`| ${done} | ${kib(heap)} | ${kib(external)} | ${(rss / 1024 / 1024).toFixed(0)} |`);
});
await once(client, 'exit');
const growth = heaps.at(-1) - heaps[1];
const perRequest = growth / (requests * 0.9);
console.log(
  `\nfrom a tenth of the requests on: ${(growth / 1024).toFixed(1)} KiB, ${perRequest.toFixed(4)} bytes per request`,
);
upstream.kill();
await plane.close();
rmSync(folder, { recursive: true });
process.exit(0);
