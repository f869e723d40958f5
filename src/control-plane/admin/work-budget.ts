import type { Clock } from '../../runtime/clock.js';
import { TokenBucket } from '../../runtime/token-bucket.js';
import { type Answer, problem } from './http.js';

/** Milliseconds of work at once, and of each second afterwards. */
const BURST_MS = 10_000;
const MS_PER_SECOND = 500;

/**
 * What questions about documents may cost all callers together: they are worked out by the process that serves clients,
 * which has to get its turns. Who asks while the budget is overdrawn is told when to come back.
 */
export class WorkBudget {
  readonly #bucket: TokenBucket;
  readonly #clock: Pick<Clock, 'now'>;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#bucket = new TokenBucket(BURST_MS, MS_PER_SECOND, clock);
    this.#clock = clock;
  }

  async spend(work: () => Answer | Promise<Answer>): Promise<Answer> {
    const owed = -this.#bucket.remaining;
    if (owed > 0) {
      const seconds = String(Math.ceil(owed / MS_PER_SECOND));
      const refused = problem(
        429,
        'INMESH_ADMIN_RATE',
        'too much was asked to be worked out; come back later',
      );
      return { ...refused, headers: { 'retry-after': seconds } };
    }
    const began = this.#clock.now();
    try {
      return await work();
    } finally {
      // A debt for what took longer than there was.
      this.#bucket.consumeWith(() => this.#clock.now() - began);
    }
  }
}
