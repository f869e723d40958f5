import type { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';

/** Tells the log of an outage of the control plane once, however many attempts to come back fail. */
export interface OutageLog {
  /** A stream ended; `isConfigured` tells whether a configuration is in force that stays so. */
  lost(error: MeshError, isConfigured: boolean): void;
  /** The control plane answers: the next loss is a new outage. */
  answered(): void;
}

/** Makes the log of one connection's outages. */
export function createOutageLog(logger: Logger): OutageLog {
  let isTold = false;
  return {
    lost(error, isConfigured) {
      const what = isConfigured
        ? 'lost the control plane; the configuration in force stays'
        : 'the control plane cannot be reached; trying again';
      logger[isTold ? 'debug' : 'warn']({ error: error.message }, what);
      isTold = true;
    },
    answered() {
      isTold = false;
    },
  };
}
