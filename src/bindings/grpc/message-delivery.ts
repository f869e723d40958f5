import type { InterceptingListener, StatusObject } from '@grpc/grpc-js';

/** Bytes that may wait for the application before the server is asked to wait. */
const WAITING_BYTES = 64 * 1024;

/** What may keep messages from coming. */
export interface MessageSource {
  /** There is room for more. */
  resume(): void;
}

/**
 * Gives the messages of a call to its listener one by one as they are asked for, and its status after them. As in grpc-js
 * the listener is called from a turn of its own, so what it throws breaks nothing here.
 */
export class MessageDelivery {
  readonly #listener: InterceptingListener;
  #source: MessageSource | undefined;
  #messages: Buffer[] = [];
  #next = 0;
  #bytes = 0;
  #isWanted = false;
  #isPaused = false;
  #isScheduled = false;
  #status: StatusObject | undefined;
  #isAbandoned = false;
  #isOver = false;

  constructor(listener: InterceptingListener) {
    this.#listener = listener;
  }

  /** Tells `source` when there is room again. */
  from(source: MessageSource): void {
    this.#source = source;
  }

  /** The listener takes one more message. */
  startRead(): void {
    this.#isWanted = true;
    this.#schedule();
  }

  /** A message came; false asks to wait. */
  push(message: Buffer): boolean {
    if (this.#isOver || this.#isAbandoned) return true;
    this.#messages.push(message);
    this.#bytes += message.byteLength;
    this.#schedule();
    this.#isPaused = this.#bytes >= WAITING_BYTES;
    return !this.#isPaused;
  }

  /** The call ended: its status follows the messages that came. */
  finish(status: StatusObject): void {
    if (this.#status !== undefined) return;
    this.#status = status;
    this.#schedule();
  }

  /** The call was given up: no message follows. */
  abandon(status: StatusObject): void {
    if (this.#isOver) return;
    this.#isAbandoned = true;
    this.#messages = [];
    this.#next = 0;
    this.#status = status;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isOver) return;
    const hasMessage = this.#next < this.#messages.length;
    if (hasMessage ? !this.#isWanted : this.#status === undefined) return;
    this.#isScheduled = true;
    process.nextTick(deliver, this);
  }

  deliver(): void {
    this.#isScheduled = false;
    try {
      while (this.#isWanted && this.#next < this.#messages.length) this.#deliverNext();
      if (this.#status === undefined || this.#isOver || this.#next < this.#messages.length) return;
      this.#isOver = true;
      this.#listener.onReceiveStatus(this.#status);
    } finally {
      // A listener that throws may have asked for more before.
      this.#schedule();
      this.#release();
    }
  }

  #deliverNext(): void {
    // Whoever calls has looked.
    const message = this.#messages[this.#next++] as Buffer;
    if (this.#next === this.#messages.length) {
      this.#messages = [];
      this.#next = 0;
    }
    this.#bytes -= message.byteLength;
    this.#isWanted = false;
    this.#listener.onReceiveMessage(message);
  }

  #release(): void {
    if (!this.#isPaused || this.#bytes >= WAITING_BYTES / 2) return;
    this.#isPaused = false;
    this.#source?.resume();
  }
}

function deliver(delivery: MessageDelivery): void {
  delivery.deliver();
}
