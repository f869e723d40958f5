import type { Timer } from '../../runtime/clock.js';
import type { Request, Response } from '../../service/service.js';
import { TransportError } from '../../service/transport-error.js';
import type { CallPlace } from './call-place.js';

/** Milliseconds between looks, from the first on. */
const FIRST_MS = 50;
const LONGEST_MS = 1000;

/** Answers that say: no server yet. */
const NO_SERVER: ReadonlySet<string> = new Set([
  'INMESH_NO_HEALTHY_UPSTREAM',
  'INMESH_NO_CLUSTER',
  'INMESH_NAME_UNRESOLVED',
]);

/** Whether a call that waits for its server to be ready waits on: no server has heard of it. */
export function mayWait(outcome: unknown, { body }: Request): boolean {
  if (body.kind === 'push' && body.used) return false;
  if (TransportError.is(outcome)) return outcome.failure === 'connect';
  // Whatever else is thrown has no such part.
  const local = (outcome as Partial<Response> | undefined)?.local;
  return local !== undefined && NO_SERVER.has(local.reason);
}

interface Waiter {
  begin(): void;
  cancelWithStatus(code: number, details: string): void;
}

/** The wait of a call for its server: it tries again, less and less often, until its deadline. */
export class ReadyWait {
  readonly #place: CallPlace;
  readonly #call: Waiter;
  #waitMs = FIRST_MS;
  #timer: Timer | undefined;

  constructor(place: CallPlace, call: Waiter) {
    this.#place = place;
    this.#call = call;
  }

  again(): void {
    const { core, waiting } = this.#place;
    waiting.add(this.#call);
    // Half of it by chance, so that many calls do not come at once.
    const waitMs = this.#waitMs * (0.5 + core.random() / 2);
    this.#waitMs = Math.min(LONGEST_MS, this.#waitMs * 2);
    this.#timer = core.clock.schedule(
      waitMs,
      () => {
        waiting.delete(this.#call);
        this.#call.begin();
      },
      true,
    );
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#place.waiting.delete(this.#call);
  }
}
