import { createServer, type Server, type Socket } from 'node:net';
import { listen, portOf } from '../http-agent/support.js';

/** What a server does with a request, by the first segment of its path. */
const BEHAVIOURS: Readonly<Record<string, (socket: Socket) => void>> = {
  ok: (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  close: (socket) => socket.end(),
  reset: (socket) => socket.resetAndDestroy(),
  garbage: (socket) => socket.end('no HTTP at all\r\n\r\n'),
  never: () => {},
  begin: (socket) => socket.write(BEGINNING),
  'begin-close': (socket) => socket.write(BEGINNING, () => socket.end()),
  'begin-reset': (socket) => socket.write(BEGINNING, () => setTimeout(() => socket.resetAndDestroy(), 20)),
  'begin-garbage': (socket) =>
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n', () =>
      setTimeout(() => socket.end('no chunk\r\n'), 20),
    ),
  busy: (socket) => socket.write('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy'),
};

const BEGINNING = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello';

export interface FaultyServer {
  readonly port: number;
  close(): void;
}

/** A server that fails as the path asks it to. */
export async function startFaultyServer(): Promise<FaultyServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      // The first byte of TLS.
      if (chunk[0] === 0x16) socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      const [, name = ''] = /^[A-Z]+ \/([a-z-]+)/.exec(String(chunk)) ?? [];
      BEHAVIOURS[name]?.(socket);
    });
  });
  await listen(server);
  return {
    port: portOf(server),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
