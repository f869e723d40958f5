import type { Clock } from '../../runtime/clock.js';

/**
 * How long a connection may take for its first request when its server closes. Who has just connected is about to ask, and
 * does not ask again elsewhere as after a connection that was used before (RFC 9110 §9.2.2). Node does not count such a
 * connection as idle either, and Envoy closes none that waits.
 */
export const FIRST_REQUEST_MS = 500;

/** The end of a server, step by step. */
export interface DrainSteps {
  /** Whether nothing is left to wait for. */
  isEmpty(): boolean;
  /** Lets go of what has carried no request by now. */
  shut(): void;
  /** Ends what is left: its time is over. */
  destroy(): void;
}

/** Waits until a server has nothing left to do, but not for ever. */
export class Draining {
  readonly done: Promise<void>;
  readonly #steps: DrainSteps;
  #isShut = false;
  #end: () => void = () => {};

  constructor(
    steps: DrainSteps,
    { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
  ) {
    this.#steps = steps;
    this.done = new Promise((resolve) => {
      const first = clock.schedule(Math.min(FIRST_REQUEST_MS, timeoutMs), () => this.#shut());
      const last = clock.schedule(timeoutMs, () => steps.destroy());
      this.#end = () => {
        first.cancel();
        last.cancel();
        resolve();
      };
    });
    this.look();
  }

  /** To be called when something ended. */
  look(): void {
    if (!this.#steps.isEmpty()) return;
    this.#end();
    if (!this.#isShut) this.#shut();
  }

  #shut(): void {
    this.#isShut = true;
    this.#steps.shut();
    this.look();
  }
}
