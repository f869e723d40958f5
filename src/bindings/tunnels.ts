import type { Duplex } from 'node:stream';
import type { Completion } from '../service/completion.js';
import type { ByteCounts } from '../service/context.js';
import type { Request } from '../service/service.js';

/**
 * The connections that left HTTP, or never spoke it: nobody but their users knows when they are done, so they are counted
 * here, and cut when the mesh closes.
 */
export class Tunnels {
  readonly #open = new Set<Duplex>();

  add(tunnel: Duplex): void {
    this.#open.add(tunnel);
    tunnel.once('close', () => this.#open.delete(tunnel));
  }

  close(): void {
    for (const tunnel of this.#open) tunnel.destroy();
  }
}

/**
 * Ties an exchange to the connection that it has become: it is over when that is closed, and who gives the exchange up
 * closes it.
 */
export function watchTunnel(
  tunnel: Duplex & Partial<ByteCounts>,
  { context, abort }: Request,
  completion: Completion,
): void {
  // A stream that does not count shows no bytes.
  const counts = (): ByteCounts => ({
    bytesRead: tunnel.bytesRead ?? 0,
    bytesWritten: tunnel.bytesWritten ?? 0,
  });
  const before = counts();
  context.tunnel = tunnel.bytesRead === undefined ? before : (tunnel as ByteCounts);
  let failure: unknown;
  tunnel.on('error', (error) => {
    failure = error;
  });
  const unlink = abort.onAbort((reason) => {
    failure = reason;
    tunnel.destroy();
  });
  tunnel.once('close', () => {
    unlink();
    const after = counts();
    context.tunnel = undefined;
    context.responseBytes = after.bytesRead - before.bytesRead;
    context.requestBytes = after.bytesWritten - before.bytesWritten;
    completion.settle(undefined, failure);
  });
}
