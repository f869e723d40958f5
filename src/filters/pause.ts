import type { Clock } from '../runtime/clock.js';
import type { Request } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';

/** The wait before another attempt; it fails when the request is given up meanwhile. */
export function pause(delayMs: number, request: Request, clock: Clock): Promise<void> {
  if (delayMs <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(
      delayMs,
      () => {
        unlink();
        resolve();
      },
      true,
    );
    const unlink = request.abort.onAbort((reason) => {
      timer.cancel();
      reject(new TransportError('aborted', true, reason));
    });
  });
}
