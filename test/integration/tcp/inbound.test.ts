import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Mesh, MeshOptions } from '../../../src/index.js';
import { peerOf } from '../../../src/server.js';
import { istio, World } from '../mesh/features-world.js';
import { eventually, joinQuietly } from '../mesh/support.js';
import { echo, outcomeOf, readAll } from './support.js';

let world: World;
afterEach(() => world.close());

/** A server of the mesh that speaks no HTTP. */
async function serve(
  options: MeshOptions,
  handler: (socket: Socket) => void,
): Promise<{ readonly mesh: Mesh; readonly port: number; readonly server: Server }> {
  const mesh = await joinQuietly({
    controlPlane: world.plane.addresses.xds,
    leaveDelayMs: 0,
    ...options,
  });
  const server = createServer({ allowHalfOpen: true }, handler);
  const { port } = await mesh.listen(server, 0);
  world.onClose(() => mesh.close());
  return { mesh, port, server };
}

const mode = (name: string) => istio('PeerAuthentication', 'default', `mtls: { mode: ${name} }`);

test('a server without any document is found, by mTLS, and knows its peer', async () => {
  world = await World.start(mode('STRICT'));
  const peers: (string | undefined)[] = [];
  const { port, mesh: server } = await serve({ service: 'cache', serviceAccount: 'cache' }, (socket) => {
    peers.push(peerOf(socket)?.spiffeId);
    echo(socket);
  });
  const mesh = await world.join({ serviceAccount: 'web' });
  await eventually('the service is there', () =>
    mesh.status().clusters.some(({ name }) => name.includes('cache')),
  );
  const socket = mesh.connect('cache', port);
  socket.end('hello');
  expect((await readAll(socket)).toString()).toBe('hello');
  expect(peers).toEqual(['spiffe://cluster.local/ns/default/sa/web']);
  await eventually('the server counted it', () =>
    /connections_closed_total\{reporter="destination".*\} 1/.test(server.metrics()),
  );
  expect(server.metrics()).toMatch(
    /istio_tcp_received_bytes_total\{reporter="destination",.*source_principal="spiffe:\/\/cluster.local\/ns\/default\/sa\/web".*request_protocol="tcp",response_flags="-",connection_security_policy="mutual_tls"\} 5/,
  );
  expect(mesh.metrics()).toMatch(
    /istio_tcp_sent_bytes_total\{reporter="source",.*destination_workload="cache".*destination_principal="spiffe:\/\/cluster.local\/ns\/default\/sa\/cache".*\} 5/,
  );
});

test('STRICT refuses plaintext, PERMISSIVE takes both, and whoever speaks first may', async () => {
  world = await World.start(mode('STRICT'));
  const { port, mesh: server } = await serve({ service: 'greeter' }, (socket) => {
    socket.end('welcome');
    socket.resume();
  });
  const plain = () => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.write('hi');
    return outcomeOf(socket);
  };
  expect(await plain()).toBe('ECONNRESET');
  const mesh = await world.join();
  await eventually('the service is there', () => mesh.status().clusters.length > 0);
  // The client says nothing: the server begins.
  expect(await outcomeOf(mesh.connect('greeter', port))).toBe('welcome');
  world.configure(mode('PERMISSIVE'));
  await eventually('plaintext is let in', async () => (await plain()) === 'welcome');
  expect(await outcomeOf(mesh.connect('greeter', port))).toBe('welcome');
  expect(server.metrics()).toMatch(/reporter="destination".*connection_security_policy="none"/);
});

test('half-closed connections and large ones keep every byte over mTLS', async () => {
  world = await World.start(mode('STRICT'));
  const { port } = await serve({ service: 'counter' }, (socket) => {
    let length = 0;
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    socket.once('end', () => socket.end(String(length)));
  });
  const mesh = await world.join();
  await eventually('the service is there', () => mesh.status().clusters.length > 0);
  const socket = mesh.connect('counter', port);
  const size = 32 * 1024 * 1024;
  const answer = readAll(socket);
  for (let sent = 0; sent < size; sent += 1024 * 1024) {
    if (!socket.write(Buffer.alloc(1024 * 1024, 1))) await once(socket, 'drain');
  }
  socket.end();
  expect((await answer).toString()).toBe(String(size));
});

test('a handler that reads later misses nothing', async () => {
  world = await World.start(mode('PERMISSIVE'));
  const { port } = await serve({ service: 'late' }, (socket) => {
    setImmediate(() => setImmediate(() => echo(socket)));
  });
  const mesh = await world.join();
  await eventually('the service is there', () => mesh.status().clusters.length > 0);
  const secure = mesh.connect('late', port);
  secure.end('secure');
  expect(await outcomeOf(secure)).toBe('secure');
  const plain = connect(port, '127.0.0.1');
  plain.end('plain');
  expect(await outcomeOf(plain)).toBe('plain');
});

test('connections stay when certificates are renewed, and end in order when the server leaves', async () => {
  world = await World.start(mode('STRICT'));
  const { port, mesh: server } = await serve({ service: 'cache' }, echo);
  const mesh = await world.join();
  await eventually('the service is there', () => mesh.status().clusters.length > 0);
  const socket = mesh.connect('cache', port);
  await once(socket, 'connect');
  const say = async (text: string) => {
    socket.write(text);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.toString();
  };
  expect(await say('before')).toBe('before');
  const first = mesh.identity.svid();
  for (const one of [mesh, server]) {
    // The source that a mesh makes for itself can renew.
    await (one.identity as unknown as { renewNow(): Promise<unknown> }).renewNow();
  }
  expect(mesh.identity.svid()).not.toBe(first);
  expect(await say('after')).toBe('after');
  const next = mesh.connect('cache', port);
  next.end('new');
  expect(await outcomeOf(next)).toBe('new');
  const ended = once(socket, 'close');
  await server.close();
  await ended;
});
