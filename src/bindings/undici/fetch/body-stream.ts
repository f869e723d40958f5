/** Chunks that may wait for a reader before the connection is asked to pause: as much as a stream of Node's holds. */
const HIGH_WATER_BYTES = 64 * 1024;

/** Who feeds a body and hears what becomes of it. */
export interface BodyOwner {
  /** The reader took what waited: more may come. */
  resume(): void;
  /** The reader wants no more. */
  cancelled(reason: unknown): void;
  /** The reader saw the end. `decodedBytes` were read. */
  over(decodedBytes: number): void;
}

const TURN = Promise.resolve();

type ByteSource = ConstructorParameters<typeof ReadableStream<Uint8Array>>[0] & { type: 'bytes' };

/**
 * The body of a response: what the network pushes, as the byte stream that callers pull.
 * It is the underlying source of its own stream, so that a body costs two objects and no closures.
 */
export class BodyStream {
  readonly type = 'bytes';
  readonly stream: ReadableStream<Uint8Array>;
  readonly #owner: BodyOwner;
  // Set by `start`, which the constructor of the stream calls.
  #controller: ReadableByteStreamController | undefined;
  #chunks: Uint8Array[] = [];
  #waitingBytes = 0;
  #readBytes = 0;
  #paused = false;
  #ended = false;
  #over = false;
  #pulled: (() => void) | undefined;

  constructor(owner: BodyOwner) {
    this.#owner = owner;
    this.stream = new ReadableStream<Uint8Array>(this as ByteSource);
  }

  /** A chunk came. False asks to pause until `resume`. */
  push(chunk: Uint8Array): boolean {
    if (this.#over) return true;
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.byteLength;
    const pulled = this.#pulled;
    if (pulled !== undefined && this.#waitingBytes > 0) {
      this.#pulled = undefined;
      this.#hand();
      pulled();
    }
    if (this.#waitingBytes < HIGH_WATER_BYTES) return true;
    this.#paused = true;
    return false;
  }

  /** The last chunk has come. The reader sees the end when it asks for more. */
  end(): void {
    this.#ended = true;
    const pulled = this.#pulled;
    if (pulled === undefined || this.#over) return;
    this.#pulled = undefined;
    this.#close();
    pulled();
  }

  /** The body broke off; what waits is lost. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#chunks = [];
    this.#controller?.error(error);
    this.#pulled?.();
    this.#owner.over(this.#readBytes);
  }

  start(controller: ReadableByteStreamController): void {
    this.#controller = controller;
  }

  async pull(): Promise<void> {
    // Never within the call that asks: a reader that is aborted in the same turn gets the reason and no data.
    await TURN;
    if (this.#over) return;
    if (this.#waitingBytes > 0) this.#hand();
    else if (this.#ended) this.#close();
    else {
      await new Promise<void>((resolve) => {
        this.#pulled = resolve;
      });
    }
  }

  cancel(reason: unknown): void {
    this.#over = true;
    this.#chunks = [];
    this.#owner.cancelled(reason);
    this.#owner.over(this.#readBytes);
  }

  /** Gives the reader all that waits, in one piece of memory of its own: the parser's is shared. */
  #hand(): void {
    const bytes = new Uint8Array(this.#waitingBytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.byteLength;
    }
    this.#chunks.length = 0;
    this.#waitingBytes = 0;
    this.#readBytes += at;
    this.#controller?.enqueue(bytes);
    if (!this.#paused) return;
    this.#paused = false;
    this.#owner.resume();
  }

  #close(): void {
    this.#over = true;
    this.#controller?.close();
    // A reader that brought its own buffer gets it back.
    this.#controller?.byobRequest?.respond(0);
    this.#owner.over(this.#readBytes);
  }
}
