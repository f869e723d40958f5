import pRetry from 'p-retry';
import { createBackoff } from '../runtime/backoff.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import { Inbox } from './inbox.js';
import type { OpenStream } from './stream.js';

/** What a connection tells its owner. */
export interface ConnectionListener {
  /** An attempt begins. */
  onConnecting(): void;
  /** A stream exists: its first messages may be sent. */
  onStream(send: (message: Uint8Array) => void): void;
  /** The stream's connection is up. */
  onReady(): void;
  /** Takes one message, pausing where it yields. What it throws ends the stream. */
  onMessage(message: Uint8Array): Generator<void, void>;
  /** The stream is gone, the next attempt follows after a wait. */
  onLost(error: MeshError): void;
}

/** What keeps a connection up. */
export interface ConnectionOptions {
  readonly open: OpenStream;
  readonly method: string;
  readonly listener: ConnectionListener;
  readonly clock: Clock;
  readonly random: Random;
  /** The longest wait that is right now, in milliseconds; asked before each wait. Default: as the formula says. */
  readonly longestWaitMs?: () => number;
}

/** A stream that is opened again whenever it ends. */
export interface Connection {
  /** Ends it for good; resolves when nothing runs any more. */
  close(): Promise<void>;
}

/** What a stream that lived long is waited for at most, so that the clients of a server that restarts do not come at once. */
const SPREAD_MS = 200;

/**
 * Keeps one stream to the control plane open. gRFC A57, and gRPC's connection back-off: attempts are 1 s apart, growing by
 * 1.6 up to 120 s, +-20 %, counted from the start of the last one; a stream that brought a response starts it over.
 */
export function createConnection(options: ConnectionOptions): Connection {
  const { clock, random, listener } = options;
  const backoff = createBackoff({ baseMs: 1000, maxMs: 120_000, factor: 1.6, jitter: 0.2 }, random);
  const closing = new AbortController();
  let startMs = clock.now();
  const run = () => {
    startMs = clock.now();
    return runStream(options, backoff.reset, closing.signal);
  };
  const running = pRetry(run, {
    retries: Number.POSITIVE_INFINITY,
    // p-retry's own wait is off: ours runs on the given clock and follows gRPC's formula.
    minTimeout: 0,
    maxTimeout: 0,
    signal: closing.signal,
    async onFailedAttempt({ error }) {
      if (closing.signal.aborted) return;
      listener.onLost(toMeshError(error));
      // Up to a fifth less by chance, as the waits of the formula, so that many clients do not come at once.
      const longestMs = (options.longestWaitMs?.() ?? Number.POSITIVE_INFINITY) * (1 - 0.2 * random());
      const leftMs = Math.min(backoff.next(), longestMs) - (clock.now() - startMs);
      await wait(clock, Math.max(leftMs, SPREAD_MS * random()), closing.signal);
    },
  }).catch(() => {
    // The only way out of an endless retry is the abort of close().
  });
  return {
    async close() {
      closing.abort(new MeshError('INMESH_CLOSED', 'the connection to the control plane was closed'));
      await running;
    },
  };
}

/** One stream's life; always rejects, with what ended it. */
async function runStream(
  options: ConnectionOptions,
  onResponse: () => void,
  closing: AbortSignal,
): Promise<never> {
  const { open, method, listener } = options;
  let end: (error: unknown) => void = () => {};
  const ended = new Promise<never>((_, reject) => {
    end = reject;
  });
  const onAbort = () => end(closing.reason);
  const inbox = new Inbox({
    clock: options.clock,
    take: (message) => listener.onMessage(message),
    onTaken: onResponse,
    onFailed: (error) => end(error),
  });
  closing.addEventListener('abort', onAbort, { once: true });
  listener.onConnecting();
  const opening = open(method, {
    onReady: () => listener.onReady(),
    onMessage: (message) => inbox.push(message),
    onEnd: (error) => end(error),
  });
  try {
    const stream = await Promise.race([ended, opening]);
    listener.onStream((message) => stream.send(message));
    return await ended;
  } catch (error) {
    throw toMeshError(error);
  } finally {
    closing.removeEventListener('abort', onAbort);
    inbox.close();
    // Also when it opens only after the end; a failure to open was reported above.
    opening.then((stream) => stream.close()).catch(() => {});
  }
}

function toMeshError(error: unknown): MeshError {
  if (MeshError.is(error)) return error;
  return new MeshError(
    'INMESH_CONTROL_PLANE_UNAVAILABLE',
    `the control plane can't be reached: ${messageOf(error)}`,
    { cause: error },
  );
}

function wait(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.schedule(delayMs, done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
