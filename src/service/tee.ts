import { MeshError } from '../runtime/errors.js';
import { type Body, iterateBody, type NativeBody } from './body.js';

/** A body and copies of it that follow as it is read. */
export interface Tee {
  /** For the exchange itself. */
  readonly body: Body;
  /** For somebody who must not slow it down. */
  copy(): Body;
  /** Ends copies of a body that nobody reads on. */
  end(error: unknown): void;
}

/**
 * Lets others see a body while it is sent. Chunks are shared, not copied. A copy that falls more than `limitBytes` behind
 * breaks off; the body itself never waits for it.
 */
export function teeBody(source: Body, limitBytes: number): Tee {
  if (source.kind === 'empty' || source.kind === 'bytes') {
    return { body: source, copy: () => source, end: () => {} };
  }
  const followers: Follower[] = [];
  const length = source.kind === 'native' ? source.length : undefined;
  const iterate = () => read(source, followers);
  const value: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: iterate };
  return {
    body: { kind: 'native', value, length, iterate } satisfies NativeBody,
    copy() {
      const follower = new Follower(limitBytes);
      followers.push(follower);
      return follower.body(length);
    },
    end(error) {
      for (const follower of followers) follower.fail(error ?? abandoned());
    },
  };
}

async function* read(source: Body, followers: readonly Follower[]): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of iterateBody(source)) {
      for (const follower of followers) follower.push(chunk);
      yield chunk;
    }
    for (const follower of followers) follower.end();
  } catch (error) {
    for (const follower of followers) follower.fail(error);
    throw error;
  } finally {
    // A reader that stops early leaves nothing more to come; after the end this does nothing.
    for (const follower of followers) follower.fail(abandoned());
  }
}

function abandoned(): MeshError {
  return new MeshError('INMESH_ABORTED', 'the body was not read to its end');
}

class Follower {
  readonly #limitBytes: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #end: { readonly error: unknown } | 'complete' | undefined;
  #wake: (() => void) | undefined;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  push(chunk: Uint8Array): void {
    if (this.#end !== undefined) return;
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#limitBytes) {
      this.fail(new MeshError('INMESH_ABORTED', `a copy of the body fell ${this.#limitBytes} bytes behind`));
      return;
    }
    this.#chunks.push(chunk);
    this.#wake?.();
  }

  end(): void {
    this.#end ??= 'complete';
    this.#wake?.();
  }

  fail(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#chunks = [];
    this.#wake?.();
  }

  body(length: number | undefined): NativeBody {
    const iterate = () => this.#read();
    const value: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: iterate };
    return { kind: 'native', value, length, iterate };
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.byteLength;
        yield chunk;
      } else if (this.#end === 'complete') return;
      else if (this.#end !== undefined) throw this.#end.error;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}
