import type { UniversalPathRules } from '../model/request-processing.js';
import type { PathVerdict } from './path-verdict.js';

const REJECT: PathVerdict = { kind: 'reject' };
const UNRESERVED = /[A-Za-z0-9\-._~]/;

/**
 * Envoy's universal header validator: the form that a target has to have for its method (RFC 9112 §3.2), and the path
 * made canonical. Unlike `normalize_path` it keeps what it need not touch, and refuses escapes that are none and paths that
 * lead above the root.
 */
export function universalTarget(method: string, path: string, rules: UniversalPathRules): PathVerdict {
  if (method === 'CONNECT') return path === '' ? { kind: 'continue', path } : REJECT;
  if (path === '*' && method === 'OPTIONS') return { kind: 'continue', path };
  if (!path.startsWith('/')) return REJECT;
  if (rules.skipNormalization) return { kind: 'continue', path };
  const end = path.search(/[?#]/);
  const bare = end < 0 ? path : path.slice(0, end);
  const decoded = decodeEscapes(bare, rules.escapedSlashes);
  if (decoded === undefined) return REJECT;
  const slashed = decoded.replaceAll('\\', '/');
  const resolved = resolveDots(rules.mergeSlashes ? slashed.replaceAll(/\/{2,}/g, '/') : slashed);
  if (resolved === undefined) return REJECT;
  const isRedirect = rules.escapedSlashes === 'redirect' && /%(?:2f|5c)/i.test(bare);
  const changed = end < 0 ? resolved : resolved + path.slice(end);
  return { kind: isRedirect ? 'redirect' : 'continue', path: changed };
}

/** What needs no escape is decoded, once; the digits of the other escapes are capitals. Undefined = refused. */
function decodeEscapes(path: string, slashes: UniversalPathRules['escapedSlashes']): string | undefined {
  if (!path.includes('%')) return path;
  if (/%(?![0-9a-f]{2})/i.test(path)) return undefined;
  if (slashes === 'reject' && /%(?:2f|5c)/i.test(path)) return undefined;
  const decodesSlashes = slashes === 'forward' || slashes === 'redirect';
  return path.replaceAll(/%([0-9a-f]{2})/gi, (octet, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    const isDecoded = UNRESERVED.test(char) || (decodesSlashes && (char === '/' || char === '\\'));
    return isDecoded ? char : octet.toUpperCase();
  });
}

/** RFC 3986 §5.2.4, but what leads above the root is refused. An empty segment is no folder to go up from. */
function resolveDots(path: string): string | undefined {
  const out: string[] = [];
  const segments = path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    const isDots = segment === '.' || segment === '..';
    if (segment === '..') {
      while (out.at(-1) === '') out.pop();
      if (out.pop() === undefined) return undefined;
    }
    if (!isDots) out.push(segment);
    else if (index === segments.length - 1) out.push('');
  }
  return `/${out.join('/')}`;
}
