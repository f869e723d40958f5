import { type Backoff, createBackoff } from '../runtime/backoff.js';
import type { Clock, Timer } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import { CallFailure, GrpcStatus, type OpenStream, type StreamListener } from './grpc-channel.js';

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;

/** What becomes of a stream that ended. */
export type Verdict = 'retry' | 'stop';

/** How a stream is kept open. */
export interface KeptStreamOptions {
  readonly open: (listener: StreamListener) => Promise<OpenStream>;
  readonly message: (bytes: Uint8Array) => void;
  /** Hears of each end, and says whether to try again. */
  readonly ended: (failure: CallFailure) => Verdict;
  readonly clock: Clock;
  readonly random: Random;
}

/** A stream that is opened again whenever it ends. */
export interface KeptStream {
  /** Opens it at once when it waits for its next attempt. */
  hurry(): void;
  close(): void;
}

/**
 * Keeps a stream open for as long as it takes, with growing waits between attempts (0.1 s to 30 s, plus or minus 20 % by
 * chance). A stream that brought something is opened again at once; one that ended right after it, a little later.
 */
export function keepStream(options: KeptStreamOptions): KeptStream {
  const stream = new Kept(options);
  stream.start();
  return stream;
}

class Kept implements KeptStream {
  readonly #options: KeptStreamOptions;
  readonly #backoff: Backoff;
  #stream: OpenStream | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: KeptStreamOptions) {
    this.#options = options;
    this.#backoff = createBackoff(
      { baseMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, jitter: 0.2 },
      options.random,
    );
  }

  start(): void {
    this.#timer = undefined;
    void this.#open();
  }

  hurry(): void {
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.start();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  async #open(): Promise<void> {
    let isOver = false;
    const listener: StreamListener = {
      message: (bytes) => {
        this.#backoff.reset();
        if (!this.#isClosed) this.#options.message(bytes);
      },
      end: (failure) => {
        isOver = true;
        this.#stream = undefined;
        this.#ended(failure);
      },
    };
    try {
      const stream = await this.#options.open(listener);
      if (this.#isClosed) stream.cancel();
      else if (!isOver) this.#stream = stream;
    } catch (error) {
      // A target that can't be parsed, a library that can't be loaded.
      this.#ended(
        new CallFailure(GrpcStatus.unavailable, error instanceof Error ? error.message : String(error)),
      );
    }
  }

  #ended(failure: CallFailure): void {
    if (this.#isClosed || this.#options.ended(failure) === 'stop') return;
    this.#timer = this.#options.clock.schedule(this.#backoff.next(), () => this.start());
  }
}
