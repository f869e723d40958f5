import { status } from '@grpc/grpc-js';
import type { PushBody } from '../../service/body.js';
import type { CallPlace } from './call-place.js';
import type { Ending } from './call-status.js';
import { compress, type Encoding } from './compression.js';
import { frameMessage } from './frames.js';
import { RequestMessages } from './request-messages.js';

type Callback = ((error?: Error | null) => void) | undefined;

/** grpc-js `WriteFlags.NoCompress`. */
const NO_COMPRESS = 2;

interface Waiting {
  readonly message: Buffer;
  readonly flags: number | undefined;
  readonly callback: Callback;
}

/** Makes the body of a call's request of its messages, in their order. */
export class MessageWriter {
  readonly #place: CallPlace;
  readonly #messages = new RequestMessages();
  readonly #refuse: (ending: Ending) => void;
  #encoding: Encoding;
  /** Messages behind one that is being compressed; undefined when none is. */
  #queue: Waiting[] | undefined;
  #hasEnded = false;

  /** `refuse` ends the call because of a message that may not be sent. */
  constructor(place: CallPlace, refuse: (ending: Ending) => void) {
    this.#place = place;
    this.#refuse = refuse;
    this.#encoding = place.encoding;
  }

  /** What `grpc-encoding` says. */
  get encoding(): Encoding {
    return this.#encoding;
  }

  /** Whether all messages are there. */
  get hasEnded(): boolean {
    return this.#messages.hasEnded;
  }

  get body(): PushBody {
    return this.#messages;
  }

  /** All bytes, when they are there before anybody took one. */
  takeAll(): Buffer | undefined {
    return this.#messages.takeAll();
  }

  write(message: Buffer, flags: number | undefined, callback: Callback): void {
    const { maxSendBytes, isFramed } = this.#place;
    if (isFramed) {
      this.#messages.write(message, callback);
      return;
    }
    if (maxSendBytes !== -1 && message.byteLength > maxSendBytes) {
      const details = `Attempted to send message with a size larger than ${maxSendBytes}`;
      this.#refuse({ code: status.RESOURCE_EXHAUSTED, details });
      callback?.();
      return;
    }
    if (this.#queue !== undefined) this.#queue.push({ message, flags, callback });
    else if (this.#encoding === 'identity' || ((flags ?? 0) & NO_COMPRESS) !== 0) {
      this.#messages.write(frameMessage(message, false), callback);
    } else this.#compress(message, callback);
  }

  end(): void {
    this.#hasEnded = true;
    if (this.#queue === undefined) this.#messages.end();
  }

  /** The server said what it takes: messages from now on are sent so. */
  learn(accepted: string): void {
    if (!accepted.split(',').some((one) => one.trim() === this.#encoding)) this.#encoding = 'identity';
  }

  /** The call is over. */
  stop(): void {
    // Most are: an error for nobody would cost 8 us of stack.
    if (this.#messages.isOver) return;
    this.#messages.cancel(new Error('the call is over'));
  }

  #compress(message: Buffer, callback: Callback): void {
    this.#queue = [];
    compress(message, this.#encoding, (error, bytes) => {
      const waiting = this.#queue ?? [];
      this.#queue = undefined;
      if (error !== null) {
        this.#refuse({ code: status.INTERNAL, details: `Failed to compress message: ${error.message}` });
        callback?.();
      } else this.#messages.write(frameMessage(bytes, true), callback);
      for (const one of waiting) this.write(one.message, one.flags, one.callback);
      if (this.#hasEnded && this.#queue === undefined) this.#messages.end();
    });
  }
}
