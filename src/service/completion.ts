import type { HeaderMap } from './headers.js';

/** How a response's body ended. */
export interface CompletionEnd {
  readonly trailers: HeaderMap | undefined;
  /** Why it broke off; undefined when it is complete. */
  readonly error: unknown;
}

/** Hears how an exchange ended. */
export type CompletionListener = (end: CompletionEnd) => void;

const COMPLETE: CompletionEnd = { trailers: undefined, error: undefined };

/**
 * Tells when an exchange is over: its trailers came or its body broke off. A permit is held until then, not until
 * the head arrives. It is a promise without the price of one, and it never rejects.
 */
export class Completion {
  #end: CompletionEnd | undefined;
  #listener: CompletionListener | undefined;
  #more: CompletionListener[] | undefined;

  /** A completion that is over already, for answers without a stream. */
  static readonly done: Completion = Completion.#settled();

  static #settled(): Completion {
    const completion = new Completion();
    completion.settle();
    return completion;
  }

  /** The end, once it is there. */
  get end(): CompletionEnd | undefined {
    return this.#end;
  }

  /** Ends it; later calls do nothing. */
  settle(trailers?: HeaderMap, error?: unknown): void {
    if (this.#end !== undefined) return;
    const end = trailers === undefined && error === undefined ? COMPLETE : { trailers, error };
    this.#end = end;
    this.#listener?.(end);
    if (this.#more !== undefined) for (const listener of this.#more) listener(end);
    this.#listener = undefined;
    this.#more = undefined;
  }

  /** Calls `listener` once at the end, or at once when it is over. */
  onEnd(listener: CompletionListener): void {
    if (this.#end !== undefined) listener(this.#end);
    else if (this.#listener === undefined) this.#listener = listener;
    else {
      this.#more ??= [];
      this.#more.push(listener);
    }
  }
}
