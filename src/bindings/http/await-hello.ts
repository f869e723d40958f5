import type { Duplex } from 'node:stream';
import type { ClientHello } from '../../mesh/tcp/listener.js';
import { inspectClientHello } from '../tcp/client-hello.js';
import { ignore, type SniffOptions } from './sniff.js';

/** What became of the wait for a ClientHello. */
export interface HelloResult {
  said(hello: ClientHello): void;
  /** The bytes are no ClientHello, or do not become one in time. */
  failed(what: string): void;
}

/** Nobody who means well sends a ClientHello in more pieces; each costs a reading of all so far. */
const MAX_PIECES = 64;

/**
 * Reads the whole ClientHello of a connection whose first byte says TLS, and gives the bytes back before it tells. The
 * socket must not flow.
 */
export function awaitHello(socket: Duplex, { clock, timeoutMs }: SniffOptions, result: HelloResult): void {
  let bytes: Buffer | undefined;
  let pieces = 0;
  const look = (): boolean => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return false;
    bytes = bytes === undefined ? chunk : Buffer.concat([bytes, chunk]);
    const found = ++pieces > MAX_PIECES ? 'not-tls' : inspectClientHello(bytes);
    if (found === 'more') return false;
    settle();
    socket.unshift(bytes);
    if (found === 'not-tls') result.failed('the bytes are no ClientHello');
    else result.said(found);
    return true;
  };
  const onReadable = () => void look();
  const onEnd = () => {
    settle();
    socket.destroy();
  };
  const timer =
    timeoutMs === 0
      ? undefined
      : clock.schedule(timeoutMs, () => {
          settle();
          result.failed(`no whole ClientHello came within ${timeoutMs} ms`);
        });
  function settle(): void {
    timer?.cancel();
    socket.removeListener('readable', onReadable);
    socket.removeListener('end', onEnd);
    socket.removeListener('close', onEnd);
    socket.removeListener('error', ignore);
  }
  // Nearly always it is here at once.
  if (look()) return;
  socket.on('readable', onReadable);
  socket.on('end', onEnd);
  socket.on('close', onEnd);
  socket.on('error', ignore);
}
