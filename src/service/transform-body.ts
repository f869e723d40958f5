import { MeshError } from '../runtime/errors.js';
import { type Body, type BodyControl, type BodySink, iterateBody, type PushBody } from './body.js';
import type { HeaderMap } from './headers.js';

/** Makes other chunks of the chunks of a body; it may take its time. */
export type BodyTransform = (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/**
 * The body as a transform makes it, chunk by chunk as its reader takes them: nothing is gathered, back-pressure goes
 * through, trailers stay. A reader that gives up ends the transform (its `finally` runs) and the source.
 */
export function transformBody(body: Body, transform: BodyTransform): PushBody {
  return new TransformedBody(body, transform);
}

class TransformedBody implements PushBody {
  readonly kind = 'push';
  readonly #source: Body;
  readonly #transform: BodyTransform;
  #used = false;

  constructor(source: Body, transform: BodyTransform) {
    this.#source = source;
    this.#transform = transform;
  }

  get used(): boolean {
    return this.#used;
  }

  attach(sink: BodySink): BodyControl {
    if (this.#used) throw new MeshError('INMESH_BODY_USED', 'this body was read already');
    this.#used = true;
    let trailers: HeaderMap | undefined;
    const chunks = iterateBody(this.#source, (these) => {
      trailers = these;
    });
    const pump = new Pump(this.#transform(chunks)[Symbol.asyncIterator](), sink, () => trailers);
    void pump.run();
    return pump;
  }
}

const TURN = Promise.resolve();

/** Carries chunks from an iterator to a sink. */
class Pump implements BodyControl {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #sink: BodySink;
  readonly #trailers: () => HeaderMap | undefined;
  #wake: (() => void) | undefined;
  #isPaused = false;
  #isOver = false;

  constructor(chunks: AsyncIterator<Uint8Array>, sink: BodySink, trailers: () => HeaderMap | undefined) {
    this.#chunks = chunks;
    this.#sink = sink;
    this.#trailers = trailers;
  }

  async run(): Promise<void> {
    try {
      // The sink's owner gets its control before the first call.
      await TURN;
      for (;;) {
        const next = await this.#next();
        if (next === undefined) return;
        if (next.done === true) break;
        // A sink may resume within `data`.
        this.#isPaused = true;
        if (this.#sink.data(next.value)) this.#isPaused = false;
        else if (this.#stillPaused()) await this.#resumed();
      }
      this.#isOver = true;
      this.#sink.end(this.#trailers());
    } catch (error) {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#sink.error(error);
    }
  }

  resume(): void {
    this.#isPaused = false;
    this.#wake?.();
    this.#wake = undefined;
  }

  cancel(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Whoever cancels hears the reason, not what the clean-up says.
    this.#chunks.return?.().catch(() => {});
    this.resume();
    this.#sink.error(reason);
  }

  async #next(): Promise<IteratorResult<Uint8Array> | undefined> {
    if (this.#isOver) return undefined;
    const next = await this.#chunks.next();
    return this.#ended() ? undefined : next;
  }

  /** It may have been cancelled while something was awaited. */
  #ended(): boolean {
    return this.#isOver;
  }

  #stillPaused(): boolean {
    return this.#isPaused;
  }

  #resumed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
