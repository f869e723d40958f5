import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import type { Clock, Timer } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';

/** Takes finished log lines. */
export interface LogSink {
  write(line: string): void;
  /** Settles when everything is written. */
  close(): Promise<void>;
}

/** Lines are handed on in batches: at least this often, or when this much waits. */
const FLUSH_MS = 100;
const FLUSH_BYTES = 64 * 1024;
/** What a stuck stream may hold before lines are dropped: a log must not eat the memory of its service. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

export interface LogSinkTools {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Opens where log lines go: `/dev/stdout` and `/dev/stderr` are this process's own streams, all else is a file. */
export function openSink(path: string, tools: LogSinkTools): LogSink {
  if (path === '/dev/stdout') return new StreamSink(process.stdout, false, path, tools);
  if (path === '/dev/stderr') return new StreamSink(process.stderr, false, path, tools);
  return new StreamSink(createWriteStream(path, { flags: 'a' }), true, path, tools);
}

/** Batches lines and writes them without waiting. */
class StreamSink implements LogSink {
  readonly #stream: Writable;
  readonly #owned: boolean;
  readonly #tools: LogSinkTools;
  #batch = '';
  #timer: Timer | undefined;
  #dropped = 0;
  #failed = false;

  constructor(stream: Writable, owned: boolean, path: string, tools: LogSinkTools) {
    this.#stream = stream;
    this.#owned = owned;
    this.#tools = tools;
    if (owned) stream.on('error', (error) => this.#fail(path, error));
  }

  write(line: string): void {
    if (this.#failed) return;
    if (this.#stream.writableLength > MAX_WAITING_BYTES) {
      this.#dropped++;
      return;
    }
    this.#batch += line;
    if (this.#batch.length >= FLUSH_BYTES) this.#flush();
    // What is waiting is worth staying for: a process that ends by itself writes its last lines.
    else this.#timer ??= this.#tools.clock.schedule(FLUSH_MS, () => this.#flush(), true);
  }

  close(): Promise<void> {
    this.#flush();
    const stream = this.#stream;
    if (this.#failed) return Promise.resolve();
    return new Promise((resolve) => {
      if (this.#owned) {
        stream.once('error', () => resolve());
        stream.end(() => resolve());
      } else stream.write('', () => resolve());
    });
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#batch === '' || this.#failed) return;
    this.#stream.write(this.#batch);
    this.#batch = '';
    if (this.#dropped === 0) return;
    this.#tools.logger.warn({ lines: this.#dropped }, 'access log lines were dropped: the log is too slow');
    this.#dropped = 0;
  }

  #fail(path: string, error: unknown): void {
    if (!this.#failed) this.#tools.logger.error({ path, error: messageOf(error) }, 'the access log failed');
    this.#failed = true;
    this.#batch = '';
  }
}
