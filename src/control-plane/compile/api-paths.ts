import type { RedirectAction } from '../../model/redirect.js';
import type { RouteAction } from '../../model/route.js';
import type { RouteMatch } from '../../model/route-match.js';
import type { ApiRuleExtras } from '../kinds/types.js';
import { quoted } from './authorization/matchers.js';
import type { RouteContext } from './route-context.js';

// Paths, hosts and ports as rules of the Gateway API change them.

type Redirect = NonNullable<ApiRuleExtras['redirect']>;
type PathModifier = Redirect['path'];

const WELL_KNOWN = { http: 80, https: 443 } as const;

/** Where requests are redirected to. */
export function redirectOf(redirect: Redirect, match: RouteMatch, context: RouteContext): RedirectAction {
  const { scheme, hostname = '', statusCode } = redirect;
  return {
    kind: 'redirect',
    status: statusCode,
    scheme,
    https: false,
    host: hostname,
    port: portOf(redirect, context),
    path: redirectPath(redirect.path, match),
    stripQuery: false,
  };
}

/**
 * Gateway API: without a port it is that of the scheme, and without a scheme that of the listener. Where it goes without saying
 * it is left out, which is 0; but then the port that the request's host has would stay.
 */
function portOf({ port, scheme, hostname }: Redirect, context: RouteContext): number {
  const own = context.isTls === true ? 'https' : 'http';
  const meant = port ?? (scheme === undefined ? context.port : WELL_KNOWN[scheme]);
  const hasPlainHost = hostname !== undefined || context.port === WELL_KNOWN[own];
  return hasPlainHost && meant === WELL_KNOWN[scheme ?? own] ? 0 : meant;
}

function redirectPath(modifier: PathModifier, match: RouteMatch): RedirectAction['path'] {
  if (modifier === undefined) return undefined;
  if (modifier.type === 'ReplaceFullPath') return { kind: 'path', value: modifier.replaceFullPath || '/' };
  return prefixChange(modifier.replacePrefixMatch ?? '', match);
}

/** What becomes of the path and the host of requests that are forwarded; `authority` is what a header filter says. */
export function rewriteOf(
  rewrite: ApiRuleExtras['rewrite'],
  match: RouteMatch,
  authority: string | undefined,
): Pick<RouteAction, 'pathRewrite' | 'hostRewrite'> {
  const host = rewrite?.hostname ?? authority;
  return {
    pathRewrite: pathRewriteOf(rewrite?.path, match),
    hostRewrite: host === undefined || host === '' ? undefined : { kind: 'literal', value: host },
  };
}

function pathRewriteOf(modifier: PathModifier, match: RouteMatch): RouteAction['pathRewrite'] {
  if (modifier === undefined) return undefined;
  if (modifier.type === 'ReplacePrefixMatch') return prefixChange(modifier.replacePrefixMatch ?? '', match);
  const full = modifier.replaceFullPath || '/';
  return { kind: 'regex', rewrite: { pattern: '^.*$', substitution: escaped(full) } };
}

/**
 * Gateway API: what replaces a prefix replaces whole segments, and a path stays one that begins with a slash: `/` in place of
 * `/foo` makes `/bar` of `/foo/bar`.
 */
function prefixChange(
  replacement: string,
  { path }: RouteMatch,
):
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly rewrite: { readonly pattern: string; readonly substitution: string } }
  | undefined {
  const value = replacement.replace(/\/+$/, '');
  if (path.kind !== 'path-separated-prefix') {
    // The prefix is "/": what it matched is the slash.
    return value === '' ? undefined : { kind: 'prefix', value: `${value}/` };
  }
  if (value !== '') return { kind: 'prefix', value: value.startsWith('/') ? value : `/${value}` };
  return { kind: 'regex', rewrite: { pattern: `^${quoted(path.value)}/*(.*)$`, substitution: '/\\1' } };
}

/** In a substitution `\` stands before the number of a group. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\');
}
