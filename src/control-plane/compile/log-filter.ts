import type { AccessLogFilter } from '../../model/access-log.js';
import type { StringMatcher } from '../../model/matcher.js';
import { compileRegex } from '../../routing/regex.js';
import { quoted } from './authorization/matchers.js';
import {
  type CompareOperator,
  type Literal,
  type LogExpression,
  parseLogExpression,
} from './log-expression.js';

/** When an expression holds, and when it does not. In CEL it may be neither: it fails where something is not there. */
interface Verdict {
  readonly yes: AccessLogFilter;
  readonly no: AccessLogFilter;
}

/**
 * The filter that a condition of CEL means, as far as Envoy's own filters can say it: comparisons of `response.code`,
 * `request.duration` and texts of the request, joined by `&&`, `||` and `!`. Undefined for an empty text; `undefined` also for
 * others, which `isLogFilter` tells apart.
 */
export function logFilterOf(expression: string | undefined): AccessLogFilter | undefined {
  if (expression === undefined || expression.trim() === '') return undefined;
  const parsed = parseLogExpression(expression);
  return parsed && verdictOf(parsed)?.yes;
}

/** Whether members can carry a condition out. */
export function isLogFilter(expression: string | undefined): boolean {
  return expression === undefined || expression.trim() === '' || logFilterOf(expression) !== undefined;
}

function verdictOf(expression: LogExpression): Verdict | undefined {
  switch (expression.kind) {
    case 'and':
    case 'or': {
      const sides = expression.sides.map(verdictOf);
      const known = sides.filter((one) => one !== undefined);
      if (known.length < sides.length) return undefined;
      const [both, either] = expression.kind === 'and' ? (['and', 'or'] as const) : (['or', 'and'] as const);
      return {
        yes: { kind: both, filters: known.map(({ yes }) => yes) },
        no: { kind: either, filters: known.map(({ no }) => no) },
      };
    }
    case 'not': {
      const inner = verdictOf(expression.inner);
      return inner && { yes: inner.no, no: inner.yes };
    }
    case 'has':
      return presence(expression.subject);
    case 'compare':
      return compare(expression.subject, expression.operator, expression.value);
    case 'in': {
      const { subject, values } = expression;
      const [first, ...more] = values.map(
        (value): LogExpression => ({ kind: 'compare', subject, operator: '==', value }),
      );
      if (first === undefined) return undefined;
      return verdictOf(more.length === 0 ? first : { kind: 'or', sides: [first, ...more] });
    }
    case 'call':
      return call(expression.subject, expression.method, expression.argument);
  }
}

function presence(subject: string): Verdict | undefined {
  if (subject === 'response.code')
    return { yes: number('status-code', 'ge', 1), no: number('status-code', 'eq', 0) };
  const name = headerOf(subject);
  return name === undefined ? undefined : { yes: present(name, true), no: present(name, false) };
}

function compare(subject: string, operator: CompareOperator, value: Literal): Verdict | undefined {
  if (subject === 'response.code' && typeof value === 'number') {
    const { yes, no } = numbers('status-code', operator, value);
    // Envoy's filter takes a status that is not there for 0.
    const known = number('status-code', 'ge', 1);
    return { yes: holds(yes, 0) ? and(known, yes) : yes, no: holds(no, 0) ? and(known, no) : no };
  }
  if (subject === 'request.duration' && typeof value === 'object')
    return numbers('duration', operator, value.durationMs);
  const isText = typeof value === 'string' && (operator === '==' || operator === '!=');
  const verdict = isText ? text(subject, exactly(subject, value)) : undefined;
  return verdict && operator === '!=' ? { yes: verdict.no, no: verdict.yes } : verdict;
}

type NumberKind = 'status-code' | 'duration';

function number(kind: NumberKind, operator: 'eq' | 'ge' | 'le', value: number): AccessLogFilter {
  return { kind, operator, value };
}

function numbers(kind: NumberKind, operator: CompareOperator, value: number): Verdict {
  const of = (operator: 'eq' | 'ge' | 'le', value: number) => number(kind, operator, value);
  const below = value === 0 ? and(of('ge', 1), of('le', 0)) : of('le', value - 1);
  const other: AccessLogFilter =
    value === 0 ? of('ge', 1) : { kind: 'or', filters: [below, of('ge', value + 1)] };
  switch (operator) {
    case '==':
      return { yes: of('eq', value), no: other };
    case '!=':
      return { yes: other, no: of('eq', value) };
    case '>=':
      return { yes: of('ge', value), no: below };
    case '<':
      return { yes: below, no: of('ge', value) };
    case '>':
      return { yes: of('ge', value + 1), no: of('le', value) };
    case '<=':
      return { yes: of('le', value), no: of('ge', value + 1) };
  }
}

/** Whether a filter of numbers takes this one. */
function holds(filter: AccessLogFilter, actual: number): boolean {
  switch (filter.kind) {
    case 'status-code':
      if (filter.operator === 'eq') return actual === filter.value;
      return filter.operator === 'ge' ? actual >= filter.value : actual <= filter.value;
    case 'or':
      return filter.filters.some((one) => holds(one, actual));
    case 'and':
      return filter.filters.every((one) => holds(one, actual));
    default:
      return false;
  }
}

/** Attributes of a request, and the headers that they are. */
const HEADERS: ReadonlyMap<string, string> = new Map([
  ['request.method', ':method'],
  ['request.host', ':authority'],
  ['request.scheme', ':scheme'],
  ['request.path', ':path'],
  ['request.url_path', ':path'],
  ['request.useragent', 'user-agent'],
  ['request.referer', 'referer'],
  ['request.id', 'x-request-id'],
]);

function headerOf(subject: string): string | undefined {
  return HEADERS.get(subject) ?? /^request\.headers\[([!#$%&'*+\-.^_`|~0-9a-z:]+)\]$/.exec(subject)?.[1];
}

/** The path without its query is told by a pattern over the whole. */
const QUERY = '(?:\\?.*)?';

function exactly(subject: string, value: string): StringMatcher {
  if (subject !== 'request.url_path') return { kind: 'exact', value, ignoreCase: false };
  return { kind: 'regex', pattern: `${quoted(value)}${QUERY}` };
}

function call(subject: string, method: string, argument: string): Verdict | undefined {
  const isPath = subject === 'request.url_path';
  const literal = quoted(argument);
  const partial = (kind: 'prefix' | 'suffix' | 'contains', inPath: string): Verdict | undefined => {
    if (argument === '') return presence(subject);
    return text(
      subject,
      isPath ? { kind: 'regex', pattern: inPath } : { kind, value: argument, ignoreCase: false },
    );
  };
  switch (method) {
    case 'startsWith':
      return partial('prefix', `${literal}.*`);
    case 'endsWith':
      return partial('suffix', `[^?]*${literal}${QUERY}`);
    case 'contains':
      return partial('contains', `[^?]*${literal}.*`);
    case 'matches':
      // CEL: anywhere in the text. What ends at the query can't be told by a pattern that may ask for the end.
      return isPath || !isPattern(argument)
        ? undefined
        : text(subject, { kind: 'regex', pattern: `(?s:.*)(?:${argument})(?s:.*)` });
    default:
      return undefined;
  }
}

function isPattern(pattern: string): boolean {
  try {
    compileRegex(pattern);
    return true;
  } catch {
    return false;
  }
}

function text(subject: string, matcher: StringMatcher): Verdict | undefined {
  const name = headerOf(subject);
  if (name === undefined) return undefined;
  const match = { kind: 'string' as const, matcher };
  const header = (invert: boolean): AccessLogFilter => ({
    kind: 'header',
    matcher: { name, match, invert, treatMissingAsEmpty: false },
  });
  // Envoy: what is not there matches an inverted matcher; in CEL it is an error.
  return { yes: header(false), no: and(present(name, true), header(true)) };
}

function present(name: string, isPresent: boolean): AccessLogFilter {
  return {
    kind: 'header',
    matcher: {
      name,
      match: { kind: 'present', present: isPresent },
      invert: false,
      treatMissingAsEmpty: false,
    },
  };
}

function and(...filters: readonly AccessLogFilter[]): AccessLogFilter {
  return { kind: 'and', filters };
}
