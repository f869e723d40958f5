// The client of bench/rotation.mjs whose identity is revoked: it has connections that it goes on using, and opens others,
// all with its certificate but past the mesh, as somebody would who has stolen it.
import { once } from 'node:events';
import { connect } from 'node:tls';
import { createMesh } from 'inmesh';
import { tellCertificates } from './rotation-member.mjs';

const { controlPlane, ports } = JSON.parse(process.argv[2]);
const LIVE = 20;
const ASK_EVERY_MS = 100;
const port = ports.http1 ?? ports.http2;

const mesh = await createMesh({
  service: 'intruder',
  serviceAccount: 'intruder',
  cacheDir: false,
  controlPlane,
  logger: { debug() {}, info() {}, warn() {}, error() {} },
});
await mesh.ready();
tellCertificates([mesh]);
process.send({ ready: { id: mesh.identity.svid().id.toString() } });

let accepted = 0;
let isRefused = false;

process.on('disconnect', () => process.exit(0));
process.on('message', async ({ arm, end }) => {
  if (end) process.send({ accepted });
  if (!arm) return;
  const live = await Promise.all(Array.from({ length: LIVE }, open));
  await Promise.all(live.map(ask));
  let left = live.length;
  const timer = setInterval(() => {
    for (const socket of live) if (socket.writable) socket.write(GET);
    probe();
  }, ASK_EVERY_MS);
  for (const socket of live) {
    socket.resume().once('close', () => {
      if (--left === 0) process.send({ closedMs: Date.now() });
    });
  }
  process.on('disconnect', () => clearInterval(timer));
  process.send({ armed: true });
});

const GET = 'GET /intruder HTTP/1.1\r\nhost: http1\r\n\r\n';

/** One more connection: let in when a request on it is answered (a handshake is over for a client before it is judged). */
async function probe() {
  try {
    const socket = await open();
    await ask(socket);
    socket.destroy();
    if (isRefused) accepted++;
  } catch {
    if (!isRefused) process.send({ refusedMs: Date.now() });
    isRefused = true;
  }
}

async function ask(socket) {
  socket.write(GET);
  const [head] = await Promise.race([
    once(socket, 'data'),
    once(socket, 'close').then(() => {
      throw new Error('closed');
    }),
  ]);
  if (!String(head).startsWith('HTTP/1.1 200')) throw new Error(String(head));
}

async function open() {
  const svid = mesh.identity.svid();
  const socket = connect({
    host: '127.0.0.1',
    port,
    key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: svid.certificatesPem.join(''),
    ca: [...mesh.identity.bundle(svid.id.trustDomain).authorities],
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['istio', 'http/1.1'],
  });
  socket.on('error', () => {});
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('close', () => reject(new Error('closed')));
  });
  return socket;
}
