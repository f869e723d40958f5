// CPU of a mutual TLS handshake, both ends in this process: bare node:tls and the mesh's, which also verifies SPIFFE IDs,
// in turns; and what is verified, on its own.
//   node bench/handshakes.mjs [--rounds 15] [--handshakes 40]

import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createSecureContext, createServer } from 'node:tls';
import { connectMeshTls, createMeshTls, systemClock, verifyServerSidePeer } from 'inmesh/identity';
import { createTestCa } from 'inmesh/testing';

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const rounds = option('rounds', 15);
const handshakes = option('handshakes', 40);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const ca = await createTestCa();
const [clientSource, serverSource] = [ca.source('client'), ca.source('server')];

/** The same certificates, TLS 1.3, no tickets: what is left is the verification. */
const material = (source) => ({
  cert: source.svid().certificatesPem.join(''),
  key: source.svid().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  ca: [...ca.bundle.authorities],
  minVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
});

const listen = (options, accept) =>
  new Promise((resolve) => {
    const server = createServer(options, accept).listen(0, '127.0.0.1', () => resolve(server));
    server.on('tlsClientError', (error) => console.error(error));
  });

const bareServer = await listen(
  { ...material(serverSource), requestCert: true, rejectUnauthorized: true },
  (socket) => socket.on('error', () => {}).end('x'),
);
const bareContext = createSecureContext(material(clientSource));
const bare = () =>
  new Promise((resolve, reject) => {
    const { port } = bareServer.address();
    const socket = connect({
      host: '127.0.0.1',
      port,
      secureContext: bareContext,
      checkServerIdentity: () => undefined,
    });
    socket.on('error', reject).on('close', resolve).resume();
  });

const clientTls = createMeshTls(clientSource, { clock: systemClock });
const serverTls = createMeshTls(serverSource, { clock: systemClock });
const meshServer = await listen(serverTls.serverOptions(), (socket) => {
  verifyServerSidePeer(serverTls, socket);
  socket.on('error', () => {}).end('x');
});
const mesh = () =>
  new Promise((resolve, reject) => {
    const { port } = meshServer.address();
    connectMeshTls(clientTls, { host: '127.0.0.1', port }, (error, connection) => {
      if (error !== null) return reject(error);
      connection.socket.on('error', reject).on('close', resolve).resume();
    });
  });

const kinds = { bare, mesh };
const samples = { bare: [], mesh: [] };
for (const run of Object.values(kinds)) for (let i = 0; i < handshakes; i++) await run();
for (let round = 0; round < rounds; round++) {
  // In turns, and in turns first.
  const order = round % 2 === 0 ? ['bare', 'mesh'] : ['mesh', 'bare'];
  for (const name of order) samples[name].push(await cpuEach(kinds[name]));
}
bareServer.close();
meshServer.close();

const [bareUs, meshUs] = [median(samples.bare), median(samples.mesh)];
console.log(
  `inmesh ${version}, Node ${process.version}, ${rounds} rounds of ${handshakes} handshakes, medians of CPU\n`,
);
console.log('| handshake, both ends | CPU us | per second and core |\n| --- | --- | --- |');
for (const [name, us] of [
  ['node:tls', bareUs],
  ['inmesh, with SPIFFE IDs verified at both ends', meshUs],
])
  console.log(`| ${name} | ${us.toFixed(0)} | ${(1e6 / us).toFixed(0)} |`);
console.log(`\nratio ${(meshUs / bareUs).toFixed(3)}`);

async function cpuEach(run) {
  const before = process.cpuUsage();
  for (let i = 0; i < handshakes; i++) await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / handshakes;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
