/** Length of what stands before each message of gRPC: a byte of flags and four of length. */
export const FRAME_PREFIX_BYTES = 5;

/** What is received is no gRPC, or more of it than anybody wants. */
export class GrpcFrameError extends Error {
  override readonly name = 'GrpcFrameError';
}

/** A message with gRPC's prefix: not compressed, its length, itself. */
export function grpcFrame(message: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafe(FRAME_PREFIX_BYTES + message.byteLength);
  framed.writeUInt8(0, 0);
  framed.writeUInt32BE(message.byteLength, 1);
  framed.set(message, FRAME_PREFIX_BYTES);
  return framed;
}

/** Puts the messages of one direction of a gRPC call together, whatever pieces they come in. */
export class GrpcFrames {
  readonly #maxBytes: number;
  #rest: Buffer | undefined;

  /** `maxBytes` is that of one message. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a message has begun that is not complete. */
  get isWithin(): boolean {
    return this.#rest !== undefined;
  }

  /**
   * The messages that a chunk completes.
   * @throws GrpcFrameError for compressed messages, which nobody asked for, and for those that are too long.
   */
  *feed(chunk: Uint8Array): Generator<Uint8Array, void> {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#rest !== undefined) bytes = Buffer.concat([this.#rest, bytes]);
    this.#rest = undefined;
    while (bytes.byteLength >= FRAME_PREFIX_BYTES) {
      if (bytes.readUInt8(0) !== 0) throw new GrpcFrameError('a message is compressed');
      const length = bytes.readUInt32BE(1);
      if (length > this.#maxBytes) throw new GrpcFrameError(`a message of ${length} bytes is too long`);
      const end = FRAME_PREFIX_BYTES + length;
      if (bytes.byteLength < end) break;
      yield bytes.subarray(FRAME_PREFIX_BYTES, end);
      bytes = bytes.subarray(end);
    }
    if (bytes.byteLength > 0) this.#rest = bytes;
  }
}
