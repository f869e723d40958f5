import type { ExtAuthzConfig } from '../../model/ext-authz.js';
import type { StringMatcher } from '../../model/matcher.js';
import { compileString } from '../../routing/match.js';
import type { Request } from '../../service/service.js';

/** Header that says whether the service sees the whole body. */
export const PARTIAL_BODY = 'x-envoy-auth-partial-body';

/** Tests the name of a header. */
export type NameTest = (name: string) => boolean;

/** The beginning of a request's body, as the service sees it. */
export interface SeenBody {
  readonly bytes: Uint8Array;
  readonly isPartial: boolean;
}

/** Any of the matchers takes the name. */
export function anyName(matchers: readonly StringMatcher[]): NameTest {
  const tests = matchers.map(compileString);
  return (name) => tests.some((test) => test(name));
}

/** Envoy: over HTTP, these are always sent. */
const ALWAYS: ReadonlySet<string> = new Set(['authorization', ':method', ':path', ':authority', 'host']);

/** Which headers the service sees; what is disallowed is not seen though it is allowed. */
export function visibleHeaders({ service, allowedHeaders, disallowedHeaders }: ExtAuthzConfig): NameTest {
  const allowed = anyName(allowedHeaders ?? []);
  const disallowed = anyName(disallowedHeaders);
  const isHttp = service.kind === 'http';
  if (allowedHeaders === undefined && !isHttp) return (name) => !disallowed(name);
  return (name) => (allowed(name) || (isHttp && ALWAYS.has(name))) && !disallowed(name);
}

/**
 * The headers that the service sees, pseudo-headers among them, repeated ones joined. What a caller says about the
 * completeness of its body is left out: that is for this filter to say.
 */
export function headersFor(
  request: Request,
  isVisible: NameTest,
  body: SeenBody | undefined,
): Map<string, string> {
  const seen = new Map<string, string>();
  for (const [name, value] of linesOf(request)) {
    if (name === PARTIAL_BODY || !isVisible(name)) continue;
    const known = seen.get(name);
    seen.set(name, known === undefined ? value : `${known},${value}`);
  }
  if (body !== undefined) seen.set(PARTIAL_BODY, String(body.isPartial));
  return seen;
}

function* linesOf({
  authority,
  path,
  method,
  scheme,
  headers,
}: Request): Generator<readonly [string, string]> {
  yield [':authority', authority];
  yield [':path', path];
  yield [':method', method];
  yield [':scheme', scheme];
  // The host is `:authority`.
  for (const line of headers) if (line[0] !== 'host') yield line;
}
