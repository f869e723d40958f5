import { systemClock } from '../../runtime/clock.js';
import { silentLogger } from '../../runtime/log.js';
import { type GatewayApiStatus, statusOf } from '../gateway-api/status.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { readFiles } from '../sources/read-files.js';
import { createConfigStore } from '../store/config-store.js';

/** The status of the objects of the Gateway API in documents, or what is wrong with these. */
export type GatewayApiStatusResult =
  | { readonly accepted: true; readonly statuses: readonly GatewayApiStatus[] }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

/** Tells the status of the objects of the Gateway API in files and folders. */
export async function gatewayApiStatusFiles(paths: readonly string[]): Promise<GatewayApiStatusResult> {
  const store = createConfigStore(
    { clock: systemClock, logger: silentLogger },
    // A status says what is not carried out, too.
    { allowUnsupported: true },
  );
  const result = store.propose('documents', await readFiles(paths, DEFAULT_LIMITS));
  if (!result.accepted) return { accepted: false, violations: result.violations };
  return { accepted: true, statuses: statusOf(store.current.value) };
}
