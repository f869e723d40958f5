import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { World } from '../mesh/features-world.js';
import { istio } from '../mesh/features-world.js';

/** A TCP server outside of the mesh; every open connection is cut with the world. */
export async function serveTcp(
  world: World,
  handler: (socket: Socket) => void,
): Promise<{
  readonly port: number;
  readonly sockets: Set<Socket>;
  readonly server: Server;
  stop(): Promise<void>;
}> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    handler(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  };
  world.onClose(stop);
  // A listening TCP server has an address of this form.
  return { port: (server.address() as AddressInfo).port, sockets, server, stop };
}

/** Sends back what comes, then ends. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** Says its name, then ends when the other side does. */
export function say(name: string): (socket: Socket) => void {
  return (socket) => {
    socket.resume();
    socket.end(name);
  };
}

/** A service of TCP with endpoints on this machine. */
export function tcpEntry(host: string, ports: readonly number[], protocol = 'TCP'): string {
  const endpoints = ports
    .map(
      (port, index) =>
        `- { address: 127.0.0.1, ports: { main: ${port} }, labels: { version: v${index + 1} } }`,
    )
    .join('\n');
  return istio(
    'ServiceEntry',
    host.replaceAll('.', '-'),
    `hosts: [${host}]\nlocation: MESH_EXTERNAL\nresolution: STATIC\nports: [{ number: 7000, name: main, protocol: ${protocol} }]\nendpoints:\n${endpoints}`,
  );
}

/** Everything that comes until the other side ends. Unlike a loop over the stream, it leaves the connection open. */
export function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => resolve(Buffer.concat(chunks)));
    stream.once('error', reject);
  });
}

/** What a connection says until it ends, or the code of its error. */
export async function outcomeOf(stream: Duplex): Promise<string> {
  try {
    return (await readAll(stream)).toString();
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

/** The error that a connection ends with. */
export async function errorOf(stream: Duplex): Promise<Error> {
  const [error] = (await once(stream, 'error')) as [Error];
  return error;
}
