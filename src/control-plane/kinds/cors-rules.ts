import { checkRegex } from './common-rules.js';
import { checkHeaderName } from './header-rules.js';
import { entriesOf, type Report } from './report.js';
import type { HttpRoute } from './types.js';
import type { FieldPath } from './view.js';

const METHODS: ReadonlySet<string> = new Set([
  '*',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
]);

/** Istio CorsPolicy. */
export function checkCors(cors: NonNullable<HttpRoute['corsPolicy']>, path: FieldPath, report: Report): void {
  for (const [origin, at] of entriesOf(cors.allowOrigins, [...path, 'allowOrigins'])) {
    const isEmpty = (origin.exact ?? origin.prefix ?? origin.regex ?? '') === '';
    if (isEmpty) report.invalid(at, 'an origin must not be empty');
    else if (origin.regex !== undefined) checkRegex(origin.regex, [...at, 'regex'], report);
  }
  for (const [method, at] of entriesOf(cors.allowMethods, [...path, 'allowMethods'])) {
    if (!METHODS.has(method)) report.invalid(at, `${JSON.stringify(method)} is not an HTTP method`);
  }
  for (const field of ['allowHeaders', 'exposeHeaders'] as const) {
    for (const [name, at] of entriesOf(cors[field], [...path, field])) checkHeaderName(name, at, report);
  }
  if (cors.maxAge !== undefined && cors.maxAge % 1000 !== 0) {
    report.invalid([...path, 'maxAge'], 'maxAge must be whole seconds');
  }
}
