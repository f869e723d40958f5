// What the mesh costs a server of gRPC: CPU per call and per message, and memory, against a bare server of grpc-js. The same
// bare client calls one server after the other, for a third of a second each; a ratio is the median of the turns' ratios.
//   node bench/grpc-server.mjs [--seconds 3] [--rounds 3] [--concurrency 32] [--only text,text]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import * as grpc from '@grpc/grpc-js';
import { createControlPlane } from 'inmesh/control-plane';
import { METHODS } from './lib/grpc-methods.mjs';
import { median, Table } from './lib/table.mjs';

const argument = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const seconds = Number(argument('seconds') ?? 3);
const rounds = Number(argument('rounds') ?? 3);
const concurrency = Number(argument('concurrency') ?? 32);
const only = (argument('only') ?? '').split(',');
const SERVERS = ['grpc-js', 'mesh', 'mesh, with a filter'];
const MESSAGES = 200;
const PAYLOAD = Buffer.alloc(64, 'x');
const Client = grpc.makeGenericClientConstructor(METHODS, 'Echo');

const LOADS = {
  unary: { messages: 1, atOnce: concurrency, call: (client, done) => client.echo(PAYLOAD, done) },
  'server streaming': {
    messages: MESSAGES,
    atOnce: 1,
    call(client, done) {
      const call = client.source(Buffer.from(String(MESSAGES)));
      call.on('data', () => {});
      call.on('error', done);
      call.on('end', () => done(null));
    },
  },
  'client streaming': {
    messages: MESSAGES,
    atOnce: 1,
    call(client, done) {
      const call = client.sink(done);
      for (let i = 0; i < MESSAGES; i++) call.write(PAYLOAD);
      call.end();
    },
  },
};

const plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 } });
console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}`);
console.log(
  `${rounds} rounds of ${seconds} s, median [min-max]; ${concurrency} unary calls in flight, or one stream\n`,
);
for (const [name, load] of Object.entries(LOADS)) {
  if (only.some((part) => name.includes(part))) await compare(name, load);
}
await plane.close();
process.exit(0);

async function compare(name, load) {
  const results = new Map(SERVERS.map((server) => [server, []]));
  for (let round = 0; round < rounds; round++) await alternate(load, results);
  const what = name === 'unary' ? 'call' : 'message';
  const table = new Table([
    `${name}: server`,
    `CPU per ${what}, us`,
    'ratio',
    `${what}s/s`,
    'ratio',
    'RSS MB',
  ]);
  const base = results.get(SERVERS[0]);
  for (const [server, list] of results) {
    const against = (key) => median(list.map((one, turn) => one[key] / base[turn][key]));
    table.row(server, list, ['cpuUs', 1], against('cpuUs'), ['rate', 0], against('rate'), ['rssMb', 0]);
  }
  table.print();
}

async function alternate(load, results) {
  const servers = [];
  for (const name of SERVERS) {
    const child = fork(new URL('lib/grpc-server.mjs', import.meta.url), [name, plane.addresses.xds]);
    const [{ port }] = await once(child, 'message');
    const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    await drive(client, load, 1000);
    servers.push({ name, child, client });
  }
  for (let spent = 0; spent < seconds; spent += 0.3) {
    for (const one of servers) results.get(one.name).push(await measured(one, load));
    servers.reverse();
  }
  for (const { child, client } of servers) {
    client.close();
    child.send({ end: true });
    await once(child, 'exit');
  }
}

async function measured({ child, client }, load) {
  await drive(client, load, 30);
  child.send({ begin: true });
  await once(child, 'message');
  const began = performance.now();
  const calls = await drive(client, load, 300);
  const tookMs = performance.now() - began;
  child.send({});
  const [{ cpuUs, rssMb }] = await once(child, 'message');
  const count = calls * load.messages;
  return { cpuUs: cpuUs / count, rate: (count * 1000) / tookMs, rssMb };
}

async function drive(client, { call, atOnce }, ms) {
  const until = performance.now() + ms;
  let calls = 0;
  const loop = async () => {
    while (performance.now() < until) {
      await new Promise((resolve, reject) => {
        call(client, (error) => (error == null ? resolve() : reject(error)));
      });
      calls++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
  return calls;
}
