import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../runtime/clock.js';
import { isHttp2Preface, mayBecomePreface } from './http2/http2-front.js';

/** The first byte of a TLS record that begins a handshake (RFC 8446 §5.1); no HTTP request begins with it. */
const TLS_HANDSHAKE = 0x16;

/** What a connection turned out to be. */
export interface SniffResult {
  tls(socket: Duplex): void;
  plaintext(socket: Duplex): void;
  /** Plaintext HTTP/2 of a client that knows beforehand. */
  http2(socket: Duplex): void;
  /** It sent nothing in time. */
  silent(socket: Duplex): void;
}

export interface SniffOptions {
  /** 0 = it waits without end. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * Looks at the first byte that a connection sends, and gives the bytes back before it tells.
 *
 * The socket is handed on in the same turn: Node's HTTP parser takes the bytes that were put back first, then reads
 * from the operating system itself. Waiting a turn in between would let the two mix.
 */
export function sniff(socket: Duplex, options: SniffOptions, result: SniffResult): void {
  /** What came, while it could still be one thing or the other. */
  let before: Buffer | undefined;
  const timer = waitFor(options, () => {
    settle();
    if (before !== undefined) socket.unshift(before);
    result.silent(socket);
  });
  const onData = (bytes: Buffer) => {
    const chunk = before === undefined ? bytes : Buffer.concat([before, bytes]);
    if (mayBecomePreface(chunk)) {
      // What comes next tells; a client that stops here is as silent as one that never began.
      before = chunk;
      return;
    }
    settle();
    if (chunk[0] === TLS_HANDSHAKE) {
      // The TLS socket reads what was put back by itself; flowing on, the bytes would go nowhere.
      socket.pause();
      socket.unshift(chunk);
      result.tls(socket);
    } else if (isHttp2Preface(chunk)) {
      socket.pause();
      socket.unshift(chunk);
      result.http2(socket);
    } else {
      socket.unshift(chunk);
      result.plaintext(socket);
    }
  };
  const onEnd = () => {
    settle();
    socket.destroy();
  };
  function settle(): void {
    timer?.cancel();
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.removeListener('close', onEnd);
    socket.removeListener('error', ignore);
  }
  socket.on('data', onData);
  socket.on('end', onEnd);
  socket.on('close', onEnd);
  socket.on('error', ignore);
}

/**
 * The same for a server of any protocol. The socket is left as it came, neither flowing nor paused: whoever takes it may
 * begin to read whenever it likes.
 */
export function peek(socket: Duplex, options: SniffOptions, result: Omit<SniffResult, 'http2'>): void {
  const timer = waitFor(options, () => {
    settle();
    result.silent(socket);
  });
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    // At the end of the stream there is nothing to read.
    if (chunk === null) return;
    settle();
    socket.unshift(chunk);
    if (chunk[0] === TLS_HANDSHAKE) result.tls(socket);
    else result.plaintext(socket);
  };
  const onEnd = () => {
    settle();
    socket.destroy();
  };
  function settle(): void {
    timer?.cancel();
    socket.removeListener('readable', onReadable);
    socket.removeListener('end', onEnd);
    socket.removeListener('close', onEnd);
    socket.removeListener('error', ignore);
  }
  socket.on('readable', onReadable);
  socket.on('end', onEnd);
  socket.on('close', onEnd);
  socket.on('error', ignore);
}

function waitFor({ clock, timeoutMs }: SniffOptions, task: () => void): Timer | undefined {
  return timeoutMs === 0 ? undefined : clock.schedule(timeoutMs, task);
}

/** An error is followed by `close`; without a listener it would end the process. */
export function ignore(): void {}
