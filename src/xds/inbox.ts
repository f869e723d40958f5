import type { Clock, Timer } from '../runtime/clock.js';

/** Long enough to get on, short enough that nobody notices. */
const SLICE_MS = 5;

/** What takes the messages of one stream. */
export interface InboxOptions {
  readonly clock: Clock;
  /** Takes one message; it pauses where it yields. */
  readonly take: (message: Uint8Array) => Generator<void, void>;
  /** A message was taken. */
  readonly onTaken: () => void;
  /** A message could not be taken; no other is. */
  readonly onFailed: (error: unknown) => void;
}

/** Messages are taken one after another, a few milliseconds at a time, so that a large one does not hold up requests. */
export class Inbox {
  readonly #options: InboxOptions;
  #waiting: Uint8Array[] = [];
  #work: Generator<void, void> | undefined;
  #timer: Timer | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  push(message: Uint8Array): void {
    this.#waiting.push(message);
    if (this.#timer === undefined && this.#work === undefined) this.#run();
  }

  /** Forgets what was not taken yet. */
  close(): void {
    this.#waiting = [];
    this.#work = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #run(): void {
    const { clock, take, onTaken, onFailed } = this.#options;
    const endMs = clock.now() + SLICE_MS;
    this.#timer = undefined;
    try {
      for (;;) {
        if (this.#work === undefined) {
          const message = this.#waiting.shift();
          if (message === undefined) return;
          this.#work = take(message);
        }
        if (this.#work.next().done === true) {
          this.#work = undefined;
          onTaken();
        } else if (clock.now() >= endMs) {
          this.#timer = clock.schedule(0, () => this.#run());
          return;
        }
      }
    } catch (error) {
      this.close();
      onFailed(error);
    }
  }
}
