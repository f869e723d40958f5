// mesh.fetch, through the whole mesh, against undici.fetch without any: CPU of the client per request, in one run.
// Every measurement is a fresh process, in turns, so that drift of the machine falls on both alike.
//   node bench/fetch.mjs [--seconds 2] [--rounds 3] [--concurrency 50]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlPlane } from 'inmesh/control-plane';
import { meshDocuments } from './lib/config.mjs';
import { median } from './lib/table.mjs';

const WORKS = [
  'GET, arrayBuffer()',
  'GET, json()',
  'POST JSON, text()',
  'GET, body stream',
  'GET with a signal',
];

if (process.argv[2] === 'server') serve();
else await measureAll();

/** The upstream, in a process of its own. */
function serve() {
  const text = Buffer.alloc(1024, 'x');
  const document = Buffer.from(
    JSON.stringify({ items: Array.from({ length: 20 }, (_, id) => ({ id, name: 'item' })) }),
  );
  const server = createServer((request, response) => {
    request.resume();
    const isJson = request.url === '/json';
    response.writeHead(200, {
      'content-type': isJson ? 'application/json' : 'text/plain',
      'content-length': isJson ? document.length : text.length,
    });
    response.end(isJson ? document : text);
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.once('disconnect', () => process.exit(0));
}

async function measureAll() {
  const option = (name, fallback) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? fallback : Number(process.argv[at + 1]);
  };
  const [seconds, rounds, concurrency] = [
    option('seconds', 2),
    option('rounds', 3),
    option('concurrency', 50),
  ];
  const server = fork(new URL(import.meta.url), ['server']);
  const [port] = await once(server, 'message');
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-bench-'));
  writeFileSync(join(folder, 'mesh.yaml'), meshDocuments(port));
  const plane = await createControlPlane({ config: [folder], ports: { xds: 0, secureXds: 0, http: 0 } });

  const measure = async (variant) => {
    const world = { variant, controlPlane: plane.addresses.xds, port, seconds, concurrency };
    const client = fork(new URL('lib/fetch-client.mjs', import.meta.url), [JSON.stringify(world)]);
    const [cpuUs] = await once(client, 'message');
    client.disconnect();
    await once(client, 'exit');
    return cpuUs;
  };

  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}`);
  console.log(
    `CPU per request, us: median of ${rounds} rounds of ${seconds} s, ${concurrency} in flight, 50 routes\n`,
  );
  console.log('| | undici.fetch, no mesh | mesh.fetch, in the mesh | ratio |\n| --- | --- | --- | --- |');
  for (const work of WORKS) {
    const [plain, mesh] = [[], []];
    for (let round = 0; round < rounds; round++) {
      const order = [
        async () => plain.push(await measure(['undici.fetch', work])),
        async () => mesh.push(await measure(['mesh.fetch', work])),
      ];
      for (const step of round % 2 === 0 ? order : order.toReversed()) await step();
    }
    const [a, b] = [median(plain), median(mesh)];
    console.log(`| ${work} | ${a.toFixed(1)} | ${b.toFixed(1)} | ${(b / a).toFixed(2)} |`);
  }
  const requests = [];
  for (let round = 0; round < rounds; round++) requests.push(await measure(['undici.request']));
  console.log(`\nFor comparison, undici.request without a mesh: ${median(requests).toFixed(1)}`);
  server.disconnect();
  await plane.close();
  rmSync(folder, { recursive: true });
}
