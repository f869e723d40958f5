import type { PathMatcher } from '../model/matcher.js';
import type { RedirectAction } from '../model/redirect.js';
import type { RequestHead } from '../service/service.js';
import { compilePathRewrite, type PathChange } from './rewrite.js';

/** Compiles a redirect: the result gives the location for a request. */
export function compileRedirect(action: RedirectAction, matcher: PathMatcher): (head: RequestHead) => string {
  const newPath = compileLocationPath(action, matcher);
  const port = action.port === 0 ? '' : `:${action.port}`;
  return (head) => {
    const scheme = action.scheme ?? (action.https ? 'https' : head.scheme);
    const host = action.host === '' ? requestHost(head, scheme, port !== '') : action.host;
    const path = newPath(head.path);
    return `${scheme}://${host}${port}${path.startsWith('/') ? '' : '/'}${path}`;
  };
}

function compileLocationPath({ path, stripQuery }: RedirectAction, matcher: PathMatcher): PathChange {
  if (path?.kind === 'path' && path.value !== '') {
    const { value } = path;
    // Envoy: a query of its own goes before the request's, and it is not stripped.
    if (value.includes('?') || stripQuery) return () => value;
    return (old) => value + queryOf(old);
  }
  const rewrite = rewriteOf(path);
  const change = rewrite === undefined ? undefined : compilePathRewrite(matcher, rewrite);
  return (old) => {
    const changed = change === undefined ? old : change(old);
    return stripQuery ? (changed.split('?', 1)[0] ?? '') : changed;
  };
}

function rewriteOf(path: RedirectAction['path']) {
  if (path?.kind === 'regex') return path;
  return path?.kind === 'prefix' && path.value !== '' ? path : undefined;
}

function queryOf(path: string): string {
  const mark = path.indexOf('?');
  return mark < 0 ? '' : path.slice(mark);
}

/**
 * The request's host. Envoy: its port goes when the redirect names one, and when the scheme changes and the port is
 * the default of the scheme that the client used.
 */
function requestHost(
  { authority, headers, scheme }: RequestHead,
  newScheme: string,
  hasPort: boolean,
): string {
  const at = authority.startsWith('[') ? authority.lastIndexOf(']:') : authority.lastIndexOf(':');
  if (at < 0) return authority;
  const end = authority.startsWith('[') ? at + 1 : at;
  const used = headers.get('x-forwarded-proto') ?? scheme;
  const isDefault = authority.slice(end) === { https: ':443', http: ':80' }[used];
  return hasPort || (newScheme !== used && isDefault) ? authority.slice(0, end) : authority;
}
