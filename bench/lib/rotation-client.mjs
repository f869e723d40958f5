// The client of bench/rotation.mjs: sends when a request is due, whatever became of those before it.
import { createMesh } from 'inmesh';
import { tellCertificates } from './rotation-member.mjs';

const { controlPlane, protocols, ports, rps } = JSON.parse(process.argv[2]);
const TICK_MS = 2;
/** Each exchange of TCP has a connection of its own, and so a handshake: one in so many requests. */
const TCP_SHARE = 50;
const SHOWN = 20;

const results = [];
let current;
const mesh = await createMesh({
  service: 'client',
  serviceAccount: 'client',
  cacheDir: false,
  controlPlane,
  observers: [
    {
      exchange({ authority, context }) {
        if (context.attemptCount <= 1 || current === undefined) return;
        const [host] = authority.split(':');
        const one = current.find(({ stats }) => stats.protocol === host);
        if (one !== undefined) one.stats.retried++;
      },
    },
  ],
});
await mesh.ready();

const SEND = {
  http1: async () => viaHttp('http1'),
  http2: async () => viaHttp('http2'),
  async grpc() {
    const { makeGenericClientConstructor } = await import('@grpc/grpc-js');
    const { meshClient } = await import('inmesh/grpc');
    const { METHODS } = await import('./grpc-methods.mjs');
    const stub = meshClient(mesh, makeGenericClientConstructor({ echo: METHODS.echo }, 'Echo'), 'grpc');
    return (id) =>
      new Promise((resolve, reject) => {
        stub.echo(Buffer.from(id), (error, answer) =>
          error === null ? resolve(answer.toString()) : reject(error),
        );
      });
  },
  tcp: async () => async (id) => {
    const socket = mesh.connect('tcp', ports.tcp);
    socket.end(id);
    let answer = '';
    for await (const part of socket) answer += part;
    return answer;
  },
};

const senders = [];
for (const protocol of protocols) senders.push({ protocol, send: await SEND[protocol]() });
for (const { protocol, send } of senders) await works(protocol, send);
tellCertificates([mesh]);
process.send({ ready: true });

const running = new Set();
let next = 0;
let sent = 0;
let begin = 0;
let shown = 0;

process.on('disconnect', () => process.exit(0));
process.on('message', async ({ phase, end }) => {
  if (phase !== undefined) startPhase(phase);
  if (!end) return;
  clearInterval(timer);
  while (running.size > 0) await Promise.all(running);
  process.send({
    results: results.map((one) => ({ ...one, latencies: Float64Array.from(one.latencies).sort() })),
  });
});
const timer = setInterval(() => {
  if (current === undefined) return;
  const due = Math.floor(((performance.now() - begin) * rps) / 1000);
  while (sent < due) launch(begin + (sent++ * 1000) / rps);
}, TICK_MS);

function startPhase(phase) {
  current = senders.map(({ protocol, send }) => {
    const stats = { phase, protocol, sent: 0, failed: 0, retried: 0, latencies: [] };
    results.push(stats);
    return { stats, send };
  });
  sent = 0;
  begin = performance.now();
}

/** Which protocol is next: in turn, but TCP once in a while. */
function choose() {
  const id = next++;
  const tcp = current.find(({ stats }) => stats.protocol === 'tcp');
  const others = current.filter((one) => one !== tcp);
  return tcp !== undefined && (others.length === 0 || id % TCP_SHARE === 0)
    ? tcp
    : others[id % others.length];
}

function launch(dueMs) {
  const { stats, send } = choose();
  const id = `request-${next}`;
  stats.sent++;
  const one = send(id)
    .then(
      (answer) => {
        if (answer !== id) fail(stats, id, `answered with ${answer}`);
      },
      (error) => fail(stats, id, causesOf(error)),
    )
    .then(() => {
      stats.latencies.push(performance.now() - dueMs);
      running.delete(one);
    });
  running.add(one);
}

function fail(stats, id, why) {
  stats.failed++;
  if (shown++ < SHOWN)
    console.error(`${new Date().toISOString()} ${stats.phase}, ${stats.protocol}, ${id}: ${why}`);
}

function causesOf(error) {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} <- ${causesOf(error.cause)}`;
}

function viaHttp(host) {
  return async (id) => {
    const response = await mesh.fetch(`http://${host}/${id}`);
    const text = await response.text();
    return response.status === 200 ? text : `${response.status} ${text}`;
  };
}

/** Servers register one after the other: requests count from when the first of each kind was answered. */
async function works(protocol, send) {
  let last;
  for (let attempt = 0; attempt < 100; attempt++) {
    last = await send('first').catch(causesOf);
    if (last === 'first') return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${protocol}: ${last}`);
}
