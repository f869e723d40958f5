import type { HeaderAddition } from '../model/header-mutation.js';
import type { core, type } from '../proto/xds.js';
import { decodeAddition, modifiable } from './header-mutation.js';
import { at, type Path, refuse } from './path.js';

const DEFAULT_STATUS = 429;
const MAX_HEADERS = 10;

/** Status for requests over a limit. Envoy: anything below 400 is no refusal, and counts as not set. */
export function decodeRefusalStatus(status: type.HttpStatus | undefined, path: Path): number {
  const code: number = status?.code ?? 0;
  if (code > 599) refuse(path, 'must be an HTTP status');
  return code < 400 ? DEFAULT_STATUS : code;
}

/** The headers that a rate limit filter adds; at most ten. */
export function decodeLimitHeaders(
  options: readonly core.HeaderValueOption[],
  path: Path,
  field: string,
): readonly HeaderAddition[] {
  if (options.length > MAX_HEADERS) refuse(at(path, field), `must have at most ${MAX_HEADERS} headers`);
  return options.map((option, index) => decodeAddition(option, at(path, field, index), modifiable));
}
