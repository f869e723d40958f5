/** Ends a subscription; calling it again does nothing. */
export type Unsubscribe = () => void;

/** Hears why something was cancelled. */
export type AbortListener = (reason: unknown) => void;

/**
 * Cancellation of one exchange or attempt.
 *
 * It is what AbortController is, without the price of an EventTarget per exchange and of `AbortSignal.any` per
 * attempt. `signal` makes a real AbortSignal for code that wants one, on first use.
 */
export class Abort {
  #reason: unknown;
  #aborted = false;
  #listeners: AbortListener[] | undefined;
  #controller: AbortController | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  /** Why it was aborted; undefined while it was not. */
  get reason(): unknown {
    return this.#reason;
  }

  /** The platform's view of this cancellation, made on first use. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Cancels: tells every listener once, in the order they came. Later calls do nothing. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
    this.#controller?.abort(reason);
  }

  /** Calls `listener` when it is cancelled, or at once if it already is. */
  onAbort(listener: AbortListener): Unsubscribe {
    if (this.#aborted) {
      listener(this.#reason);
      return noop;
    }
    this.#listeners ??= [];
    this.#listeners.push(listener);
    return () => this.#remove(listener);
  }

  /** A cancellation of its own that also ends when this one does; call `unlink` when it is over. */
  child(): { readonly abort: Abort; readonly unlink: Unsubscribe } {
    const abort = new Abort();
    return { abort, unlink: this.onAbort((reason) => abort.abort(reason)) };
  }

  #remove(listener: AbortListener): void {
    const listeners = this.#listeners;
    if (listeners === undefined) return;
    const at = listeners.indexOf(listener);
    if (at >= 0) listeners.splice(at, 1);
  }
}

/** Ties an Abort to a platform AbortSignal. */
export function linkSignal(signal: AbortSignal, abort: Abort): Unsubscribe {
  if (signal.aborted) {
    abort.abort(signal.reason);
    return noop;
  }
  const listener = () => abort.abort(signal.reason);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

function noop(): void {}
