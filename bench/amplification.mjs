// What 10 KiB of somebody whom nobody knows cost: processor time and memory of a control plane and of a member's server,
// port by port, against node:net, which reads the same bytes and throws them away, and node:tls for handshakes. The servers are in a process of their
// own, so that nothing of the attacker counts.
//   node bench/amplification.mjs [--connections 200]

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';

const BYTES = 10 * 1024;

if (process.argv[2] === 'server') await serve();
else await attack();

/** The ports that an attacker can reach, in this process; answers what they cost so far. */
async function serve() {
  const { createServer } = await import('node:http');
  const { createServer: createTcp } = await import('node:net');
  const { createServer: createTls } = await import('node:tls');
  const { createControlPlane } = await import('inmesh/control-plane');
  const { createMesh } = await import('inmesh');
  const plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0, metrics: 0 },
    bundleEndpoint: { port: 0 },
  });
  const mesh = await createMesh({ service: 'web', controlPlane: plane.addresses.xds, cacheDir: false });
  const { port } = await mesh.listen(
    createServer((_, response) => response.end('ok')),
    0,
  );
  const bare = createTcp((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(bare, 'listening');
  const { createTestCa } = await import('inmesh/testing');
  const svid = (await createTestCa()).source('server').svid();
  const tls = createTls({
    cert: svid.certificatesPem.join(''),
    key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
  });
  tls
    .on('secureConnection', (socket) => socket.on('error', () => {}).resume())
    .on('tlsClientError', () => {});
  await once(tls.listen(0, '127.0.0.1'), 'listening');
  const { xds, secureXds, http, metrics, bundles } = plane.addresses;
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    // What the collection costs counts for nobody.
    const after = process.cpuUsage();
    process.send({ cpuUs: user + system, nextUs: after.user + after.system, bytes: heapUsed + external });
  });
  process.send({
    'node:net': `127.0.0.1:${bare.address().port}`,
    'node:tls': `127.0.0.1:${tls.address().port}`,
    xds,
    secureXds,
    http,
    metrics,
    bundles,
    member: `127.0.0.1:${port}`,
  });
}

async function attack() {
  const at = process.argv.indexOf('--connections');
  const connections = at < 0 ? 200 : Number(process.argv[at + 1]);
  const child = fork(fileURLToPath(import.meta.url), ['server'], { execArgv: ['--expose-gc'] });
  const [addresses] = await once(child, 'message');
  const measure = async () => {
    child.send('');
    return (await once(child, 'message'))[0];
  };
  const table = [];
  for (const [name, input] of Object.entries(inputs())) {
    let bare;
    for (const [port, address] of Object.entries(addresses)) {
      const speaksTls = ['node:tls', 'secureXds', 'bundles', 'member'].includes(port);
      if (input === undefined ? !speaksTls : port === 'node:tls') continue;
      await round(address, input, Math.ceil(connections / 4));
      const before = await measure();
      const open = await round(address, input, connections, true);
      const held = await measure();
      for (const socket of open) socket.destroy();
      const cpuUs = (held.cpuUs - before.nextUs) / connections;
      bare ??= cpuUs;
      const kept = Math.max(0, held.bytes - before.bytes) / connections;
      table.push({
        sent: name,
        port,
        'CPU µs': Math.round(cpuUs),
        'times bare': Number((cpuUs / bare).toFixed(1)),
        'memory KiB': Number((kept / 1024).toFixed(1)),
        'times sent': Number((kept / BYTES).toFixed(2)),
      });
    }
  }
  console.table(table);
  child.kill();
}

/** What an attacker sends; TLS only shakes hands. */
function inputs() {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const fill = (head, one) =>
    Buffer.concat([
      head,
      ...Array.from({ length: Math.floor((BYTES - head.length) / one.length) }, () => one),
    ]);
  return {
    zeros: Buffer.alloc(BYTES),
    'half a head': fill(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n'), Buffer.from('a: b\r\n')),
    requests: fill(Buffer.alloc(0), Buffer.from('GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n')),
    'HTTP/2 settings': fill(Buffer.concat([preface, settings]), settings),
    'one byte': Buffer.from([0x16]),
    handshake: undefined,
  };
}

/** Sends to so many connections at once, a few at a time, and waits a moment. Gives them when they are to stay open. */
async function round(address, input, count, keeps = false) {
  const [host, port] = address.split(':');
  const sockets = [];
  for (let begun = 0; begun < count; begun += 20) {
    const some = Array.from({ length: Math.min(20, count - begun) }, () => one(host, Number(port), input));
    sockets.push(...(await Promise.all(some)));
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  if (keeps) return sockets;
  for (const socket of sockets) socket.destroy();
  return [];
}

function one(host, port, input) {
  return new Promise((resolve) => {
    const done = () => resolve(socket);
    const socket =
      input === undefined
        ? connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, done)
        : connect(port, host, () => socket.write(input, done));
    socket.setTimeout(1_000, done).on('error', done).on('close', done);
    socket.resume();
  });
}
