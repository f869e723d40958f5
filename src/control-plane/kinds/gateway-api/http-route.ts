import { checkRegex } from '../common-rules.js';
import type { Kind } from '../kind.js';
import { createReport, entriesOf, type Report } from '../report.js';
import type { Document, FieldPath } from '../view.js';
import { checkBackend, checkHeaderMatches, checkParents, checkUnique } from './common-rules.js';
import { checkFilters } from './filter-rules.js';
import { httpRouteSchema, PATH } from './http-route-schema.js';
import { checkSession } from './session-rules.js';
import type { ApiHttpMatch, ApiHttpRule } from './types.js';

/** Gateway API HTTPRoute. */
export const httpRouteKind: Kind<'HTTPRoute'> = {
  name: 'HTTPRoute',
  apiVersions: [
    'gateway.networking.k8s.io/v1',
    'gateway.networking.k8s.io/v1beta1',
    'gateway.networking.k8s.io/v1alpha2',
  ],
  schema: httpRouteSchema,
  validate,
};

const MAX_MATCHES = 128;

function validate({ spec }: Document<'HTTPRoute'>) {
  const report = createReport();
  checkParents(spec.parentRefs, report);
  const path = ['spec', 'rules'];
  checkUnique(spec.rules, path, { keyOf: ({ name }) => name, what: 'name', report });
  const matches = spec.rules.reduce((sum, rule) => sum + rule.matches.length, 0);
  if (matches > MAX_MATCHES) report.invalid(path, `all rules together have ${MAX_MATCHES} matches at most`);
  for (const [rule, at] of entriesOf(spec.rules, path)) checkRule(rule, at, report);
  return report.violations;
}

function checkRule(rule: ApiHttpRule, path: FieldPath, report: Report): void {
  const { matches, filters = [], backendRefs = [], timeouts, sessionPersistence } = rule;
  for (const [match, at] of entriesOf(matches, [...path, 'matches'])) checkMatch(match, at, report);
  checkFilters(filters, [...path, 'filters'], report);
  const answering = filters.find(({ type }) => type === 'RequestRedirect' || type === 'DirectResponse');
  if (backendRefs.length > 0 && answering !== undefined)
    report.invalid([...path, 'filters'], `a rule with ${answering.type} has no backendRefs`);
  checkPrefixReplacement(rule, path, report);
  for (const [backend, at] of entriesOf(backendRefs, [...path, 'backendRefs'])) {
    checkBackend(backend, at, report);
    checkFilters(backend.filters, [...at, 'filters'], report);
  }
  const { request = 0, backendRequest = 0 } = timeouts ?? {};
  if (request !== 0 && backendRequest > request) {
    report.invalid(
      [...path, 'timeouts', 'backendRequest'],
      'backendRequest cannot be longer than request, which covers it',
    );
  }
  checkSession(sessionPersistence, [...path, 'sessionPersistence'], report);
}

/** Gateway API: what replaces the matched prefix needs exactly one match, by PathPrefix. */
function checkPrefixReplacement(rule: ApiHttpRule, path: FieldPath, report: Report): void {
  const lists = [rule.filters, ...(rule.backendRefs ?? []).map(({ filters }) => filters)];
  const replaces = lists.some((filters) =>
    (filters ?? []).some(({ requestRedirect, urlRewrite }) =>
      [requestRedirect, urlRewrite].some((filter) => filter?.path?.type === 'ReplacePrefixMatch'),
    ),
  );
  const [only] = rule.matches;
  if (!replaces || (rule.matches.length === 1 && only?.path.type === 'PathPrefix')) return;
  report.invalid(
    [...path, 'matches'],
    'with ReplacePrefixMatch there must be exactly one match, by PathPrefix',
  );
}

/** What servers read in different ways. */
const AMBIGUOUS = ['//', '/./', '/../', '%2f', '%2F', '#'];

function checkMatch(
  { path: match, headers, queryParams }: ApiHttpMatch,
  path: FieldPath,
  report: Report,
): void {
  checkPath(match, [...path, 'path', 'value'], report);
  checkHeaderMatches(headers, [...path, 'headers'], report);
  checkUnique(queryParams, [...path, 'queryParams'], {
    keyOf: ({ name }) => name,
    what: 'query parameter',
    report,
  });
  for (const [{ type, value }, at] of entriesOf(queryParams, [...path, 'queryParams'])) {
    if (type === 'RegularExpression') checkRegex(value, [...at, 'value'], report);
  }
}

function checkPath({ type, value }: ApiHttpMatch['path'], path: FieldPath, report: Report): void {
  if (type === 'RegularExpression') {
    checkRegex(value, path, report);
    return;
  }
  if (!value.startsWith('/')) report.invalid(path, 'a path starts with "/"');
  for (const part of AMBIGUOUS) {
    if (value.includes(part)) report.invalid(path, `a path must not contain ${JSON.stringify(part)}`);
  }
  for (const end of ['/..', '/.']) {
    if (value.endsWith(end)) report.invalid(path, `a path must not end in ${JSON.stringify(end)}`);
  }
  if (!PATH.test(value)) report.invalid(path, 'the path has characters that stand in no path');
}
