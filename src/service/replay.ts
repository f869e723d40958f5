import { type Body, bytesBody, iterateBody, type NativeBody } from './body.js';

/** A streamed body that can be sent again as long as it stayed within its limit. */
export interface Replay {
  /** Whether what was read so far is all kept. */
  readonly canReplay: boolean;
  /** A body for the next attempt: what was read already, then the rest of the source. */
  body(): Body;
}

/**
 * Keeps the first bytes of a streamed body while they pass, as Envoy buffers a request for retries. Nothing is read
 * ahead: chunks are kept by reference when an attempt pulls them. Above the limit the copy is dropped and the body
 * can't be replayed.
 */
export function createReplay(source: Body, limitBytes: number): Replay {
  return new BufferedReplay(source, limitBytes);
}

class BufferedReplay implements Replay {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #length: number | undefined;
  readonly #limitBytes: number;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #overflowed = false;
  #ended = false;
  #failed: { readonly error: unknown } | undefined;
  /** Only the newest attempt may read on. */
  #generation = 0;
  /** A read of an earlier attempt that is still under way: its chunk must not get lost. */
  #pending: Promise<IteratorResult<Uint8Array>> | undefined;

  constructor(source: Body, limitBytes: number) {
    this.#source = iterateBody(source)[Symbol.asyncIterator]();
    this.#length = source.kind === 'native' ? source.length : undefined;
    this.#limitBytes = limitBytes;
  }

  get canReplay(): boolean {
    return !this.#overflowed && this.#failed === undefined;
  }

  body(): Body {
    const generation = ++this.#generation;
    if (this.#ended && !this.#overflowed) return bytesBody(Buffer.concat(this.#kept));
    const iterate = () => this.#read(generation);
    const value: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: iterate };
    return { kind: 'native', value, length: this.#length, iterate } satisfies NativeBody;
  }

  async *#read(generation: number): AsyncGenerator<Uint8Array> {
    let at = 0;
    for (;;) {
      const kept = this.#overflowed ? undefined : this.#kept[at];
      if (kept !== undefined) {
        at++;
        yield kept;
        continue;
      }
      if (generation !== this.#generation || this.#ended) return;
      const chunk = await this.#pull();
      if (chunk === undefined) return;
      // Kept chunks are taken from the list above, so that a newer attempt sees them too.
      if (this.#overflowed) yield chunk;
    }
  }

  async #pull(): Promise<Uint8Array | undefined> {
    const mine = this.#pending ?? this.#source.next();
    const first = this.#pending === undefined;
    this.#pending = mine;
    let result: IteratorResult<Uint8Array>;
    try {
      result = await mine;
    } catch (error) {
      this.#failed = { error };
      throw error;
    }
    if (first) {
      this.#pending = undefined;
      if (result.done === true) this.#ended = true;
      else this.#keep(result.value);
    }
    return result.done === true ? undefined : result.value;
  }

  #keep(chunk: Uint8Array): void {
    if (this.#overflowed) return;
    this.#keptBytes += chunk.byteLength;
    if (this.#keptBytes > this.#limitBytes) {
      this.#overflowed = true;
      this.#kept = [];
    } else this.#kept.push(chunk);
  }
}
