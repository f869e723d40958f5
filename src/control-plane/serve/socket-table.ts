import type { Socket } from 'node:net';

/** Open connections, by the address that gRPC reports for them. */
export class SocketTable {
  readonly #sockets = new Map<string, Socket>();

  /** Takes a fresh connection in; destroys it when there are `max` already. */
  admit(socket: Socket, max: number): boolean {
    socket.on('error', () => {});
    if (this.#sockets.size >= max) {
      socket.destroy();
      return false;
    }
    const key = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#sockets.set(key, socket);
    socket.once('close', () => this.#sockets.delete(key));
    return true;
  }

  /** Cuts the connection of a peer as `call.getPeer()` gives it. */
  destroy(peer: string): void {
    this.#sockets.get(peer)?.destroy();
  }
}
