import type { Duplex } from 'node:stream';
import type { Clock } from '../../runtime/clock.js';

type Finishable = Duplex & { destroySoon?(): void };

/** Ends after what is written has left, then frees the socket even if the peer never ends its side. */
export function finish(socket: Finishable): void {
  if (socket.destroySoon !== undefined) socket.destroySoon();
  else socket.end();
}

/**
 * The same, but the peer has some time to close first (Envoy `delayed_close_timeout`): what it still sends is read and
 * thrown away, or a reset could overtake the answer.
 */
export function linger(socket: Duplex, clock: Clock, delayMs: number): void {
  socket.end();
  if (socket.destroyed) return;
  // Node's parser is not to see what comes; adding a listener takes the connection from it.
  socket.removeAllListeners('data');
  socket.on('data', () => {});
  const timer = clock.schedule(delayMs, () => socket.destroy());
  socket.once('close', () => timer.cancel());
}
