/** Length of what stands before each message of gRPC: a byte of flags and four of length. */
const PREFIX = 5;

/** Counts the messages of one direction of a gRPC call by their prefixes, whatever pieces they come in. */
export class MessageCounter {
  count = 0;
  /** Bytes of the current prefix that came. */
  #prefix = 0;
  #length = 0;
  /** Bytes of the current message that are still to come. */
  #left = 0;

  feed(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.byteLength; ) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.byteLength - at);
        this.#left -= step;
        at += step;
        continue;
      }
      // The first byte is flags; the length follows, most significant byte first.
      if (this.#prefix > 0) this.#length = this.#length * 256 + (chunk[at] ?? 0);
      at++;
      this.#prefix++;
      if (this.#prefix < PREFIX) continue;
      this.count++;
      this.#left = this.#length;
      this.#prefix = 0;
      this.#length = 0;
    }
  }
}

/** The messages of a gRPC call (Envoy: `grpc_stats`). */
export interface GrpcMessages {
  readonly request: MessageCounter;
  readonly response: MessageCounter;
}

/** Counters at zero. */
export function createGrpcMessages(): GrpcMessages {
  return { request: new MessageCounter(), response: new MessageCounter() };
}
