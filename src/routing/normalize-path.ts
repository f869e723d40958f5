import type { PathRules } from '../model/request-processing.js';
import type { PathVerdict } from './path-verdict.js';
import { universalTarget } from './universal-path.js';

/** Nothing in it is changed by any rule. Most paths are such, and this is a tenth of the work. */
const CANONICAL =
  /^\/(?:[\w~!$&'()*+,;=:@-][\w.~!$&'()*+,;=:@-]*(?:\/[\w~!$&'()*+,;=:@-][\w.~!$&'()*+,;=:@-]*)*\/?)?(?:\?[^#]*)?$/;

/** Envoy's order: escaped slashes, then RFC 3986, then double slashes; the query is left alone. */
export function normalizePath(path: string, rules: PathRules): PathVerdict {
  if (CANONICAL.test(path)) return { kind: 'continue', path };
  const fragment = path.indexOf('#');
  const { universalPath: universal } = rules;
  if (universal !== undefined) {
    if (fragment >= 0 && !universal.stripFragment) return { kind: 'reject' };
    // The door knows the forms of CONNECT and OPTIONS.
    return universalTarget('GET', fragment < 0 ? path : path.slice(0, fragment), universal);
  }
  if (fragment >= 0) return { kind: 'reject' };
  let changed = path;
  let isRedirect = false;
  if (rules.escapedSlashes !== 'keep') {
    changed = unescapeSlashes(path);
    if (changed !== path && rules.escapedSlashes === 'reject') return { kind: 'reject' };
    isRedirect = changed !== path && rules.escapedSlashes === 'redirect';
  }
  if (rules.normalizePath) {
    const canonical = canonicalPath(changed);
    if (canonical === undefined) return { kind: 'reject' };
    changed = canonical;
  }
  if (rules.mergeSlashes) changed = mergeSlashes(changed);
  return { kind: isRedirect ? 'redirect' : 'continue', path: changed };
}

function splitQuery(path: string): readonly [bare: string, query: string] {
  const mark = path.indexOf('?');
  return mark < 0 ? [path, ''] : [path.slice(0, mark), path.slice(mark)];
}

/** `%2F` and `%5C` in the path become what they stand for. */
export function unescapeSlashes(path: string): string {
  const [bare, query] = splitQuery(path);
  return bare.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\') + query;
}

/** Several slashes in a row become one. */
export function mergeSlashes(path: string): string {
  const [bare, query] = splitQuery(path);
  return bare.replaceAll(/\/{2,}/g, '/') + query;
}

/**
 * RFC 3986 §6.2.2: escapes of unreserved characters are decoded, dot segments are resolved, a backslash counts as a
 * slash. Undefined for a path that can't be made canonical.
 */
export function canonicalPath(path: string): string | undefined {
  const [raw, query] = splitQuery(path);
  if (/%00|\0/.test(raw)) return undefined;
  const bare = raw
    .replaceAll('\\', '/')
    .replaceAll(/%([0-9a-fA-F]{2})/g, (text, hex: string) => {
      const char = String.fromCharCode(Number.parseInt(hex, 16));
      return /[A-Za-z0-9\-._~]/.test(char) ? char : text;
    })
    .replaceAll(/[^!#-;=?-_a-z|~]/g, percentEncode);
  const out: string[] = [];
  const segments = bare.replace(/^\//, '').split('/');
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1;
    if (segment === '..') out.pop();
    else if (segment !== '.') out.push(segment);
    // A dot segment at the end stands for a folder.
    if (isLast && (segment === '..' || segment === '.')) out.push('');
  });
  return `/${out.join('/')}${query}`;
}

function percentEncode(char: string): string {
  let out = '';
  for (const byte of Buffer.from(char)) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return out;
}
