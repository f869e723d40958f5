import { systemClock } from '../../runtime/clock.js';
import { silentLogger } from '../../runtime/log.js';
import type { Conversion } from '../convert/conversion.js';
import { toGatewayApi } from '../convert/to-gateway-api.js';
import { toIstio } from '../convert/to-istio.js';
import type { ConfigView } from '../kinds/view.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { readFiles } from '../sources/read-files.js';
import { createConfigStore } from '../store/config-store.js';

/** Documents in the kinds of the other side, or what is wrong with those that were given. */
export type ConvertResult =
  | { readonly accepted: true; readonly conversion: Conversion; readonly warnings: readonly Violation[] }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

/** Converts the documents in files and folders: from Istio's kinds to those of the Gateway API, or back. */
export async function convertFiles(
  paths: readonly string[],
  to: 'gateway-api' | 'istio',
): Promise<ConvertResult> {
  const input = await readFiles(paths, DEFAULT_LIMITS);
  const store = createConfigStore(
    { clock: systemClock, logger: silentLogger },
    // What is not carried out here may be carried out where the documents go.
    { allowUnsupported: true },
  );
  const result = store.propose('documents', input);
  if (!result.accepted) return { accepted: false, violations: result.violations };
  const view = store.current.value;
  return { accepted: true, conversion: convertedTo(view, to), warnings: store.warnings.value };
}

/** Converts the documents of a configuration. */
export function convertedTo(view: ConfigView, to: 'gateway-api' | 'istio'): Conversion {
  return to === 'istio' ? toIstio(view) : toGatewayApi(view);
}
