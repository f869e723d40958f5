import type { CaSource } from '../identity/ca-source.js';
import type { Clock } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { XdsClient } from '../xds/client-api.js';

/** Settles when this process has a certificate, cannot get one, or the time is over. */
export function certificateWithin(identity: CaSource, clock: Clock, waitMs: number): Promise<void> {
  if (identity.svid() !== undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = clock.schedule(waitMs, resolve);
    identity.ready.then(
      () => {
        timer.cancel();
        resolve();
      },
      () => resolve(),
    );
  });
}

/** A control plane that comes back may have another root: asks for a certificate at once, not at half of its life. */
export function renewOnReturn(identity: CaSource, { connected }: XdsClient, logger: Logger): void {
  let wasLost = false;
  connected.subscribe(({ state }) => {
    if (state === 'disconnected') wasLost = true;
    else if (state === 'connected' && wasLost) {
      wasLost = false;
      identity.renewNow().catch((error: unknown) => {
        logger.debug({ error: messageOf(error) }, 'renewal after the return of the control plane failed');
      });
    }
  });
}
