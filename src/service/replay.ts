import { MeshError } from '../runtime/errors.js';
import { type Body, bytesBody, iterateBody, type NativeBody } from './body.js';

/** A streamed body that can be sent again as long as it stayed within its limit. */
export interface Replay {
  /** Whether what was read so far is all kept. */
  readonly canReplay: boolean;
  /** Whether the source was read to its end. */
  readonly isComplete: boolean;
  /** A body for the next attempt: what was read already, then the rest of the source. */
  body(): Body;
  /** No attempt follows: the source is given up as soon as the last one does not read on. */
  close(): void;
}

/**
 * Keeps the first bytes of a streamed body while they pass, as Envoy buffers a request for retries. Nothing is read
 * ahead: chunks are kept by reference when an attempt pulls them. Above the limit the body can't be replayed any more, and
 * what the running attempt has sent is let go.
 */
export function createReplay(source: Body, limitBytes: number): Replay {
  return new BufferedReplay(source, limitBytes);
}

class BufferedReplay implements Replay {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #length: number | undefined;
  readonly #limitBytes: number;
  /** Chunks in order, from number `#firstKept` on. */
  #kept: Uint8Array[] = [];
  #firstKept = 0;
  #bytes = 0;
  #overflowed = false;
  #ended = false;
  #failed: { readonly error: unknown } | undefined;
  /** Only the newest attempt may read on. */
  #generation = 0;
  /** A read that is under way, maybe of an earlier attempt: its chunk must not get lost. */
  #pending: Promise<void> | undefined;
  #closed = false;
  /** Whether the newest attempt stopped reading before the end. */
  #abandoned = false;

  constructor(source: Body, limitBytes: number) {
    this.#source = iterateBody(source)[Symbol.asyncIterator]();
    this.#length = source.kind === 'native' ? source.length : undefined;
    this.#limitBytes = limitBytes;
  }

  get canReplay(): boolean {
    return !this.#overflowed && this.#failed === undefined;
  }

  get isComplete(): boolean {
    return this.#ended;
  }

  body(): Body {
    const generation = ++this.#generation;
    this.#abandoned = false;
    if (this.#ended && !this.#overflowed) return bytesBody(Buffer.concat(this.#kept));
    const iterate = () => this.#read(generation);
    const value: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: iterate };
    return { kind: 'native', value, length: this.#length, iterate } satisfies NativeBody;
  }

  close(): void {
    this.#closed = true;
    this.#release();
  }

  async *#read(generation: number): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; ; at++) {
        while (at >= this.#firstKept + this.#kept.length && !this.#ended) {
          this.#check(generation);
          await this.#pull();
        }
        this.#check(generation);
        const chunk = this.#kept[at - this.#firstKept];
        if (chunk === undefined) return;
        if (this.#overflowed) this.#letGo(at + 1);
        yield chunk;
      }
    } finally {
      if (generation === this.#generation && !this.#ended) {
        this.#abandoned = true;
        this.#release();
      }
    }
  }

  /** An attempt that another one followed must not look as if its body had ended there. */
  #check(generation: number): void {
    if (this.#failed !== undefined) throw this.#failed.error;
    if (generation !== this.#generation) {
      throw new MeshError('INMESH_ABORTED', 'another attempt took the body over');
    }
  }

  #pull(): Promise<void> {
    this.#pending ??= this.#take().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #take(): Promise<void> {
    let result: IteratorResult<Uint8Array>;
    try {
      result = await this.#source.next();
    } catch (error) {
      this.#failed = { error };
      throw error;
    }
    if (result.done === true) {
      this.#ended = true;
      return;
    }
    // Kept even above the limit, until the attempt that reads it has it: another one may have asked for it.
    this.#kept.push(result.value);
    this.#bytes += result.value.byteLength;
    if (this.#bytes > this.#limitBytes) this.#overflowed = true;
  }

  /** Forgets the chunks before number `end`. */
  #letGo(end: number): void {
    this.#kept.splice(0, end - this.#firstKept);
    this.#firstKept = end;
  }

  /** Tells the source that nobody reads on, so that it frees what it holds. */
  #release(): void {
    if (!this.#closed || !this.#abandoned || this.#ended || this.#failed !== undefined) return;
    this.#failed = { error: new MeshError('INMESH_ABORTED', 'the body is not read on') };
    // A source that can't be given up has nobody to tell.
    this.#source.return?.().catch(() => {});
  }
}
