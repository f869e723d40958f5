import type {
  HeaderMatcher,
  Int64,
  PathMatcher,
  QueryParameterMatcher,
  StringMatcher,
} from '../model/matcher.js';
import { templateRegExp } from '../model/path-template.js';
import { unreachable } from '../runtime/errors.js';
import type { RequestHead } from '../service/service.js';
import { compileRegex } from './regex.js';

/** Tests one string. */
export type StringPredicate = (value: string) => boolean;
/** Tests a request. */
export type HeadPredicate = (head: RequestHead) => boolean;

const always = () => true;

/** Compiles a StringMatcher. Case is ignored for ASCII letters only, as Envoy does. */
export function compileString(matcher: StringMatcher): StringPredicate {
  if (matcher.kind === 'regex') return compileRegex(matcher.pattern);
  const { kind, ignoreCase } = matcher;
  const wanted = ignoreCase ? asciiLower(matcher.value) : matcher.value;
  const test = compare(kind, wanted);
  return ignoreCase ? (value) => test(asciiLower(value)) : test;
}

function compare(kind: 'exact' | 'prefix' | 'suffix' | 'contains', wanted: string): StringPredicate {
  switch (kind) {
    case 'exact':
      return (value) => value === wanted;
    case 'prefix':
      return (value) => value.startsWith(wanted);
    case 'suffix':
      return (value) => value.endsWith(wanted);
    case 'contains':
      return (value) => value.includes(wanted);
    default:
      return unreachable(kind);
  }
}

/** Compiles header matchers that must all hold. */
export function compileHeaderMatchers(matchers: readonly HeaderMatcher[]): HeadPredicate {
  return all(matchers.map(compileHeaderMatcher));
}

/** Compiles one HeaderMatcher; each line of a repeated header is tested on its own (Envoy 1.39). */
export function compileHeaderMatcher(matcher: HeaderMatcher): HeadPredicate {
  const { match, invert, treatMissingAsEmpty } = matcher;
  const name = matcher.name.toLowerCase();
  if (match.kind === 'present') {
    // Presence is compared, then inverted: the only matcher for which a missing header is no plain "no".
    const wanted = match.present !== invert;
    // Envoy: a header that is treated as empty counts as present.
    if (treatMissingAsEmpty) return () => wanted;
    return (head) => (firstValue(head, name) !== undefined) === wanted;
  }
  const test = match.kind === 'range' ? rangeTest(match.start, match.end) : compileString(match.matcher);
  const whenMissing = treatMissingAsEmpty && test('') !== invert;
  const pseudo = PSEUDO[name];
  if (pseudo !== undefined) return (head) => test(pseudo(head)) !== invert;
  return (head) => {
    const lines = head.headers.toLines();
    let isPresent = false;
    for (let i = 0; i < lines.length; i += 2) {
      if (lines[i] !== name) continue;
      if (test(lines[i + 1] ?? '')) return !invert;
      isPresent = true;
    }
    return isPresent ? invert : whenMissing;
  };
}

const PSEUDO: Readonly<Record<string, ((head: RequestHead) => string) | undefined>> = Object.assign(
  Object.create(null),
  {
    ':authority': (head: RequestHead) => head.authority,
    // Envoy: `host` reads `:authority`.
    host: (head: RequestHead) => head.authority,
    ':method': (head: RequestHead) => head.method,
    ':path': (head: RequestHead) => head.path,
    ':scheme': (head: RequestHead) => head.scheme,
  },
);

/** Reads all values of a header, pseudo-headers included; lower case. */
export function headerReader(name: string): (head: RequestHead) => readonly string[] {
  const pseudo = PSEUDO[name];
  return pseudo === undefined ? (head) => head.headers.getAll(name) : (head) => [pseudo(head)];
}

function firstValue(head: RequestHead, name: string): string | undefined {
  const pseudo = PSEUDO[name];
  return pseudo === undefined ? head.headers.get(name) : pseudo(head);
}

/** Envoy `absl::SimpleAtoi`: surrounding white space is allowed, anything else but an integer is not. */
const INTEGER = /^[ \t\n\v\f\r]*[+-]?\d+[ \t\n\v\f\r]*$/;

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

function rangeTest(start: Int64, end: Int64): StringPredicate {
  if (typeof start === 'string' || typeof end === 'string') return wideRangeTest(BigInt(start), BigInt(end));
  return (value) => {
    if (!INTEGER.test(value)) return false;
    const number = Number(value);
    return number >= start && number < end;
  };
}

function wideRangeTest(start: bigint, end: bigint): StringPredicate {
  return (value) => {
    if (!INTEGER.test(value)) return false;
    const text = value.trim();
    const number = BigInt(text.startsWith('+') ? text.slice(1) : text);
    return number >= start && number < end && number >= MIN_INT64 && number <= MAX_INT64;
  };
}

/** Compiles query parameter matchers that must all hold. */
export function compileQueryMatchers(matchers: readonly QueryParameterMatcher[]): HeadPredicate {
  return all(matchers.map(compileQueryMatcher));
}

function compileQueryMatcher({ name, match }: QueryParameterMatcher): HeadPredicate {
  if (match.kind === 'present') {
    const wanted = match.present;
    return (head) => (findQueryParameter(head.path, name) !== undefined) === wanted;
  }
  const test = compileString(match.matcher);
  return (head) => {
    const value = findQueryParameter(head.path, name);
    return value !== undefined && test(value);
  };
}

/** The first value of a query parameter, not percent-decoded; empty when it has no `=`. */
export function findQueryParameter(path: string, name: string): string | undefined {
  let at = path.indexOf('?');
  if (at < 0) return undefined;
  while (at < path.length) {
    at++;
    let end = path.indexOf('&', at);
    if (end < 0) end = path.length;
    if (path.startsWith(name, at)) {
      const after = at + name.length;
      if (after === end) return '';
      if (after < end && path[after] === '=') return path.slice(after + 1, end);
    }
    at = end;
  }
  return undefined;
}

/** Compiles a path specifier into a test of the path without query and fragment (see {@link pathOf}). */
export function compilePath(matcher: PathMatcher): StringPredicate {
  switch (matcher.kind) {
    case 'regex':
      return compileRegex(matcher.pattern);
    case 'template': {
      const regex = templateRegExp(matcher.template);
      return (path) => regex.test(path);
    }
    case 'connect':
      // It is the method that counts.
      return always;
    default: {
      const wanted = matcher.caseSensitive ? matcher.value : asciiLower(matcher.value);
      const test = comparePath(matcher.kind, wanted);
      return matcher.caseSensitive ? test : (path) => test(asciiLower(path));
    }
  }
}

function comparePath(kind: 'prefix' | 'path' | 'path-separated-prefix', wanted: string): StringPredicate {
  switch (kind) {
    case 'prefix':
      return wanted === '/' ? (path) => path.startsWith('/') : (path) => path.startsWith(wanted);
    case 'path':
      return (path) => path === wanted;
    case 'path-separated-prefix':
      return (path) =>
        path.startsWith(wanted) && (path.length === wanted.length || path[wanted.length] === '/');
    default:
      return unreachable(kind);
  }
}

/** A path without what follows a `;` in each of its segments. */
export function withoutParameters(path: string): string {
  return path.includes(';') ? path.replaceAll(/;[^/]*/g, '') : path;
}

/** The path without query and fragment. */
export function pathOf(path: string): string {
  const query = path.indexOf('?');
  const fragment = path.indexOf('#');
  if (query < 0 && fragment < 0) return path;
  if (query < 0) return path.slice(0, fragment);
  return path.slice(0, fragment < 0 ? query : Math.min(query, fragment));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is exactly this range.
const NOT_ASCII = /[^\x00-\x7f]/;

/** Lower case of ASCII letters; others stay, so that no foreign letter (the Kelvin sign) turns into an ASCII one. */
export function asciiLower(text: string): string {
  if (!NOT_ASCII.test(text)) return text.toLowerCase();
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function all(predicates: readonly HeadPredicate[]): HeadPredicate {
  const [first, second] = predicates;
  if (first === undefined) return always;
  if (second === undefined) return first;
  if (predicates.length === 2) return (head) => first(head) && second(head);
  return (head) => {
    for (const predicate of predicates) if (!predicate(head)) return false;
    return true;
  };
}
