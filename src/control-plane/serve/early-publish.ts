import type { Clock } from '../../runtime/clock.js';
import type { Debounced } from '../../runtime/debounce.js';
import { TokenBucket } from '../../runtime/token-bucket.js';

/** So many clients may come at once and find what changed just before; then one a second, that a herd costs little. */
const BURST = 10;
const PER_SECOND = 1;

/** To be called when a client comes: publishes what waits, as long as not too many come. */
export function earlyPublish(push: Debounced, clock: Clock): () => void {
  const early = new TokenBucket(BURST, PER_SECOND, clock);
  return () => {
    if (push.isWaiting && early.consume(1) > 0) push.flush();
  };
}
