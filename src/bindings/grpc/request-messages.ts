import type { BodyControl, BodySink, PushBody } from '../../service/body.js';

/** Hears that a message is on its way. */
export type Written = () => void;

/** Bytes that may wait before the application is asked to wait, too. */
const HELD_BYTES = 64 * 1024;

/**
 * The messages of a call as the body of its request, in the order they were written. As long as nobody takes them they wait
 * here, and so does, beyond some, whoever writes them.
 */
export class RequestMessages implements PushBody, BodyControl {
  readonly kind = 'push';
  readonly withoutTrailers = true;
  #sink: BodySink | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Of writes that wait for the sink. */
  #waiting: Written[] = [];
  #used = false;
  #isPaused = false;
  #hasEnded = false;
  #isOver = false;

  get used(): boolean {
    return this.#used;
  }

  /** Whether all of it was taken, or is not wanted any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether the last message was written. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The only bytes there are, when the last message was written before anybody took one. */
  takeAll(): Buffer | undefined {
    if (!this.#hasEnded || this.#used) return undefined;
    this.#isOver = true;
    const [only = EMPTY] = this.#held;
    return this.#held.length > 1 ? Buffer.concat(this.#held) : only;
  }

  /** Adds a message; `written` is called when the next one may come. */
  write(message: Buffer, written: Written | undefined): void {
    if (this.#isOver) {
      written?.();
      return;
    }
    const mayPass = this.#sink !== undefined && !this.#isPaused && this.#held.length === 0;
    if (mayPass && this.#sink?.data(message) === true) {
      written?.();
      return;
    }
    if (mayPass) this.#isPaused = true;
    else {
      this.#held.push(message);
      this.#heldBytes += message.byteLength;
    }
    if (written === undefined) return;
    if (!this.#isPaused && this.#heldBytes < HELD_BYTES) written();
    else this.#waiting.push(written);
  }

  /** No message follows. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#held.length === 0) this.#finish();
  }

  attach(sink: BodySink): BodyControl {
    this.#used = true;
    this.#sink = sink;
    // The sink gets its control first.
    if (this.#held.length > 0 || this.#hasEnded) process.nextTick(resume, this);
    return this;
  }

  resume(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#isOver) return;
    this.#isPaused = false;
    const held = this.#held;
    let sent = 0;
    while (sent < held.length && !this.#isPaused) {
      // The index was just checked.
      if (!sink.data(held[sent++] as Buffer)) this.#isPaused = true;
    }
    if (sent === held.length) {
      this.#held = [];
      this.#heldBytes = 0;
    } else {
      for (let i = 0; i < sent; i++) this.#heldBytes -= held[i]?.byteLength ?? 0;
      held.splice(0, sent);
    }
    if (this.#isPaused) return;
    this.#release();
    // Whoever was released may have written on.
    if (this.#hasEnded && this.#held.length === 0) this.#finish();
  }

  cancel(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#held = [];
    this.#release();
    this.#sink?.error(reason);
  }

  #finish(): void {
    if (this.#isOver || this.#sink === undefined) return;
    this.#isOver = true;
    this.#sink.end(undefined);
  }

  #release(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const written of waiting) written();
  }
}

const EMPTY = Buffer.alloc(0);

function resume(messages: RequestMessages): void {
  messages.resume();
}
