/** gRPC over HTTP/2: a byte of flags and four of length before each message. */
const PREFIX_BYTES = 5;
const COMPRESSED = 1;

/** A message that is compressed as the response's `grpc-encoding` says. */
export class CompressedMessage {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** A message as it came. */
export type ReceivedMessage = Buffer | CompressedMessage;

/** Puts the prefix before a message; both leave in one write. */
export function frameMessage(message: Uint8Array, isCompressed: boolean): Buffer {
  const { byteLength } = message;
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + byteLength);
  framed[0] = isCompressed ? COMPRESSED : 0;
  framed.writeUInt32BE(byteLength, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
}

/** Cuts the messages of a call out of the pieces that they come in. */
export class FrameReader {
  readonly #limit: number;
  readonly #keepsPrefix: boolean;
  /** The chunk that the current prefix came in whole. */
  #prefixChunk: Buffer | undefined;
  /** Bytes of the prefix so far, when it came in pieces. */
  #prefix: Buffer | undefined;
  #prefixBytes = 0;
  #flags = 0;
  #length = 0;
  /** Pieces of the message so far; undefined between messages. */
  #pieces: Buffer[] | undefined;
  #left = 0;

  /**
   * `limit` is the longest message that is taken; -1 = any. With `keepsPrefix` messages are given as they came, prefix and
   * all, for somebody else to read.
   */
  constructor(limit: number, keepsPrefix = false) {
    this.#limit = limit;
    this.#keepsPrefix = keepsPrefix;
  }

  /**
   * Adds the messages that a chunk completes to `messages`. The length of one that is too long is returned; nothing is
   * to be read after that.
   */
  feed(chunk: Buffer, messages: ReceivedMessage[]): number | undefined {
    let at = 0;
    while (at < chunk.byteLength) {
      if (this.#pieces === undefined) {
        at = this.#readPrefix(chunk, at);
        if (this.#prefixBytes > 0) return undefined;
        if (this.#limit !== -1 && this.#length > this.#limit) return this.#length;
      }
      at = this.#readBody(chunk, at, messages);
    }
    return undefined;
  }

  /** Returns where the message begins; with `#prefixBytes` above 0 more of the prefix is to come. */
  #readPrefix(chunk: Buffer, at: number): number {
    const whole = this.#prefixBytes === 0 && chunk.byteLength - at >= PREFIX_BYTES;
    this.#prefixChunk = whole ? chunk : undefined;
    if (whole) {
      this.#begin(chunk, at);
      return at + PREFIX_BYTES;
    }
    this.#prefix ??= Buffer.allocUnsafe(PREFIX_BYTES);
    const end = Math.min(chunk.byteLength, at + PREFIX_BYTES - this.#prefixBytes);
    chunk.copy(this.#prefix, this.#prefixBytes, at, end);
    this.#prefixBytes += end - at;
    if (this.#prefixBytes === PREFIX_BYTES) {
      this.#prefixBytes = 0;
      this.#begin(this.#prefix, 0);
    }
    return end;
  }

  #begin(bytes: Buffer, at: number): void {
    this.#flags = bytes[at] ?? 0;
    this.#length = bytes.readUInt32BE(at + 1);
    this.#pieces = NOTHING;
    this.#left = this.#length;
  }

  #readBody(chunk: Buffer, at: number, messages: ReceivedMessage[]): number {
    const end = Math.min(chunk.byteLength, at + this.#left);
    this.#left -= end - at;
    if (this.#left === 0) {
      messages.push(this.#finish(chunk, at, end));
    } else if (this.#pieces === NOTHING) this.#pieces = [chunk.subarray(at, end)];
    else this.#pieces?.push(chunk.subarray(at, end));
    return end;
  }

  #finish(chunk: Buffer, at: number, end: number): ReceivedMessage {
    const pieces = this.#pieces;
    this.#pieces = undefined;
    if (this.#keepsPrefix) return this.#framed(chunk, at, end, pieces ?? NOTHING);
    const last = chunk.subarray(at, end);
    const message =
      pieces === undefined || pieces === NOTHING
        ? owned(last)
        : Buffer.concat([...pieces, last], this.#length);
    // grpc-js: other flags mean nothing.
    return this.#flags === COMPRESSED ? new CompressedMessage(message) : message;
  }

  #framed(chunk: Buffer, at: number, end: number, pieces: readonly Buffer[]): Buffer {
    if (this.#prefixChunk === chunk) return owned(chunk.subarray(at - PREFIX_BYTES, end));
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
    prefix[0] = this.#flags;
    prefix.writeUInt32BE(this.#length, 1);
    return Buffer.concat([prefix, ...pieces, chunk.subarray(at, end)]);
  }
}

/** A message of which no byte came yet. */
const NOTHING: Buffer[] = [];

/**
 * A message in a piece of the socket's memory: a small one is copied, because whoever keeps a part of it would keep all of
 * that memory.
 */
function owned(piece: Buffer): Buffer {
  return piece.byteLength * 2 >= piece.buffer.byteLength ? piece : Buffer.from(piece);
}
