import type { Abort } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import { TokenBucket } from '../runtime/token-bucket.js';
import type { BodyTransform } from '../service/transform-body.js';

/** Envoy's StreamRateLimiter looks after its bucket this often. */
const FILL_INTERVAL_MS = 50;

/** What a slow body works with. */
export interface SlowBodyTools {
  readonly clock: Clock;
  readonly abort: Abort;
}

/** Lets so many bytes a second through. Chunks are cut, never copied; `onEnd` is called when it is over. */
export function slowBody(bytesPerSecond: number, tools: SlowBodyTools, onEnd: () => void): BodyTransform {
  return async function* slow(chunks) {
    const bucket = createBucket(bytesPerSecond, tools.clock);
    try {
      for await (const chunk of chunks) {
        for (let rest = chunk; rest.byteLength > 0; ) {
          const length = bucket.consume(rest.byteLength, true);
          if (length === 0) {
            await pause(tools);
            continue;
          }
          yield rest.subarray(0, length);
          rest = rest.subarray(length);
        }
      }
    } finally {
      onEnd();
    }
  };
}

/** Envoy: a second's worth at most, a fill interval's worth to begin with. */
function createBucket(bytesPerSecond: number, clock: Clock): TokenBucket {
  const bucket = new TokenBucket(bytesPerSecond, bytesPerSecond, clock);
  bucket.reset(Math.floor((bytesPerSecond * FILL_INTERVAL_MS) / 1000));
  return bucket;
}

/** Until the next look; at once when the caller has given up. */
function pause({ clock, abort }: SlowBodyTools): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(
      FILL_INTERVAL_MS,
      () => {
        unlink();
        resolve();
      },
      true,
    );
    const unlink = abort.onAbort((reason) => {
      timer.cancel();
      reject(reason);
    });
  });
}
