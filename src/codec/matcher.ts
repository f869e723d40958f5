import { create } from '@bufbuild/protobuf';
import { RE2JS } from 're2js';
import type {
  CookieMatcher,
  HeaderMatcher,
  Int64,
  QueryParameterMatcher,
  StringMatcher,
} from '../model/matcher.js';
import { matcher, route, type } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const stringFields = onlyFields(() => matcher.StringMatcherSchema, {
  enforced: ['exact', 'prefix', 'suffix', 'safe_regex', 'contains', 'ignore_case'],
});

const regexFields = onlyFields(() => matcher.RegexMatcherSchema, {
  enforced: ['regex'],
  // Names the engine (RE2 is the only one) and a limit on its program size that Envoy reads as a runtime key.
  ignored: ['google_re2'],
});

const headerFields = onlyFields(() => route.HeaderMatcherSchema, {
  enforced: [
    'name',
    'exact_match',
    'safe_regex_match',
    'range_match',
    'present_match',
    'prefix_match',
    'suffix_match',
    'contains_match',
    'string_match',
    'invert_match',
    'treat_missing_header_as_empty',
  ],
});

const queryFields = onlyFields(() => route.QueryParameterMatcherSchema, {
  enforced: ['name', 'string_match', 'present_match'],
});

const cookieFields = onlyFields(() => route.CookieMatcherSchema, {
  enforced: ['name', 'string_match', 'invert_match'],
});

/** Envoy: a query parameter's name has at most 1024 bytes. */
const MAX_QUERY_NAME_BYTES = 1024;

/** The RE2 pattern; refuses what RE2 refuses, so that nothing fails when a request comes. */
export function decodeRegex(regex: matcher.RegexMatcher, path: Path): string {
  regexFields(regex, path);
  if (regex.regex === '') refuse(at(path, 'regex'), 'must not be empty');
  try {
    RE2JS.compile(regex.regex);
  } catch (cause) {
    refuse(at(path, 'regex'), `is no valid RE2 expression: ${messageOf(cause)}`, cause);
  }
  return regex.regex;
}

/** The pattern as a message. */
export function encodeRegex(pattern: string): matcher.RegexMatcher {
  return create(matcher.RegexMatcherSchema, { regex: pattern });
}

/** The string matcher. */
export function decodeStringMatcher(message: matcher.StringMatcher, path: Path): StringMatcher {
  stringFields(message, path);
  const { matchPattern, ignoreCase } = message;
  switch (matchPattern.case) {
    case 'exact':
      return { kind: 'exact', value: matchPattern.value, ignoreCase };
    case 'prefix':
    case 'suffix':
    case 'contains':
      return partial(matchPattern.case, matchPattern.value, ignoreCase, at(path, matchPattern.case));
    case 'safeRegex':
      // Envoy: "ignore_case has no effect for safe_regex" is a configuration error.
      if (ignoreCase) refuse(at(path, 'ignore_case'), 'has no effect on safe_regex');
      return { kind: 'regex', pattern: decodeRegex(matchPattern.value, at(path, 'safe_regex')) };
    default:
      return refuse(path, 'needs a match pattern');
  }
}

function partial(
  kind: 'prefix' | 'suffix' | 'contains',
  value: string,
  ignoreCase: boolean,
  path: Path,
): StringMatcher {
  // An empty prefix, suffix or part would match everything.
  return value === '' ? refuse(path, 'must not be empty') : { kind, value, ignoreCase };
}

/** The string matcher as a message. */
export function encodeStringMatcher(model: StringMatcher): matcher.StringMatcher {
  if (model.kind === 'regex') {
    const value = encodeRegex(model.pattern);
    return create(matcher.StringMatcherSchema, { matchPattern: { case: 'safeRegex', value } });
  }
  const { kind, value, ignoreCase } = model;
  return create(matcher.StringMatcherSchema, { matchPattern: { case: kind, value }, ignoreCase });
}

/** The header matcher, its name in lower case. */
export function decodeHeaderMatcher(message: route.HeaderMatcher, path: Path): HeaderMatcher {
  headerFields(message, path);
  if (message.name === '') refuse(at(path, 'name'), 'must not be empty');
  if (/[\0\r\n]/.test(message.name)) refuse(at(path, 'name'), 'is no header name');
  return {
    name: message.name.toLowerCase(),
    match: decodeHeaderMatch(message.headerMatchSpecifier, path),
    invert: message.invertMatch,
    treatMissingAsEmpty: message.treatMissingHeaderAsEmpty,
  };
}

function decodeHeaderMatch(
  specifier: route.HeaderMatcher['headerMatchSpecifier'],
  path: Path,
): HeaderMatcher['match'] {
  switch (specifier.case) {
    case 'stringMatch':
      return { kind: 'string', matcher: decodeStringMatcher(specifier.value, at(path, 'string_match')) };
    case 'presentMatch':
      return { kind: 'present', present: specifier.value };
    case 'rangeMatch':
      return decodeRange(specifier.value);
    case undefined:
      // Envoy: no specifier at all is a presence check.
      return { kind: 'present', present: true };
    default:
      return { kind: 'string', matcher: decodeFlatMatch(specifier, path) };
  }
}

type FlatMatch = Extract<
  route.HeaderMatcher['headerMatchSpecifier'],
  { case: 'exactMatch' | 'safeRegexMatch' | 'prefixMatch' | 'suffixMatch' | 'containsMatch' }
>;

/** The deprecated fields that stood on the header matcher itself before `string_match`. */
function decodeFlatMatch(specifier: FlatMatch, path: Path): StringMatcher {
  switch (specifier.case) {
    case 'exactMatch':
      return { kind: 'exact', value: specifier.value, ignoreCase: false };
    case 'prefixMatch':
      return partial('prefix', specifier.value, false, at(path, 'prefix_match'));
    case 'suffixMatch':
      return partial('suffix', specifier.value, false, at(path, 'suffix_match'));
    case 'containsMatch':
      return partial('contains', specifier.value, false, at(path, 'contains_match'));
    case 'safeRegexMatch':
      return { kind: 'regex', pattern: decodeRegex(specifier.value, at(path, 'safe_regex_match')) };
  }
}

function decodeRange(range: type.Int64Range): HeaderMatcher['match'] {
  return { kind: 'range', start: int64(range.start), end: int64(range.end) };
}

/** Beyond 2^53 a JavaScript number is not exact. */
function int64(value: bigint): Int64 {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** The header matcher as a message. */
export function encodeHeaderMatcher(model: HeaderMatcher): route.HeaderMatcher {
  return create(route.HeaderMatcherSchema, {
    name: model.name,
    headerMatchSpecifier: encodeHeaderMatch(model.match),
    invertMatch: model.invert,
    treatMissingHeaderAsEmpty: model.treatMissingAsEmpty,
  });
}

function encodeHeaderMatch(match: HeaderMatcher['match']): route.HeaderMatcher['headerMatchSpecifier'] {
  switch (match.kind) {
    case 'string':
      return { case: 'stringMatch', value: encodeStringMatcher(match.matcher) };
    case 'present':
      return { case: 'presentMatch', value: match.present };
    case 'range': {
      const range = { start: BigInt(match.start), end: BigInt(match.end) };
      return { case: 'rangeMatch', value: create(type.Int64RangeSchema, range) };
    }
  }
}

/** The query parameter matcher. */
export function decodeQueryMatcher(message: route.QueryParameterMatcher, path: Path): QueryParameterMatcher {
  queryFields(message, path);
  const { name, queryParameterMatchSpecifier: specifier } = message;
  if (name === '') refuse(at(path, 'name'), 'must not be empty');
  if (Buffer.byteLength(name) > MAX_QUERY_NAME_BYTES)
    refuse(at(path, 'name'), 'must have at most 1024 bytes');
  if (specifier.case === 'stringMatch') {
    const value = decodeStringMatcher(specifier.value, at(path, 'string_match'));
    return { name, match: { kind: 'string', matcher: value } };
  }
  // Envoy: no specifier at all is a presence check.
  return {
    name,
    match: { kind: 'present', present: specifier.case === 'presentMatch' ? specifier.value : true },
  };
}

/** The query parameter matcher as a message. */
export function encodeQueryMatcher({ name, match }: QueryParameterMatcher): route.QueryParameterMatcher {
  return create(route.QueryParameterMatcherSchema, {
    name,
    queryParameterMatchSpecifier:
      match.kind === 'string'
        ? { case: 'stringMatch', value: encodeStringMatcher(match.matcher) }
        : { case: 'presentMatch', value: match.present },
  });
}

/** The cookie matcher. */
export function decodeCookieMatcher(message: route.CookieMatcher, path: Path): CookieMatcher {
  cookieFields(message, path);
  const { name, stringMatch, invertMatch: invert } = message;
  if (name === '') refuse(at(path, 'name'), 'must not be empty');
  const where = at(path, 'string_match');
  return { name, matcher: decodeStringMatcher(required(stringMatch, where), where), invert };
}

/** The cookie matcher as a message. */
export function encodeCookieMatcher({ name, matcher: model, invert }: CookieMatcher): route.CookieMatcher {
  return create(route.CookieMatcherSchema, {
    name,
    stringMatch: encodeStringMatcher(model),
    invertMatch: invert,
  });
}
