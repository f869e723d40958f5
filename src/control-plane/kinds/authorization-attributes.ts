import { isIP } from 'node:net';
import { suggest } from '../schema/suggest.js';
import { entriesOf, type Report } from './report.js';
import type { FieldPath } from './view.js';

/** A value of a list: why it can't be one; undefined = it can. */
export type ValueRule = (value: string) => string | undefined;

const anyText: ValueRule = () => undefined;

/** Keys of `when` that stand alone, with what their values must be (Istio: ValidateAttribute). */
const ATTRIBUTES: ReadonlyMap<string, ValueRule> = new Map([
  ['source.ip', checkAddress],
  ['remote.ip', checkAddress],
  ['source.namespace', anyText],
  ['source.serviceAccount', checkServiceAccount],
  ['source.trustDomain', checkTrustDomain],
  ['source.principal', anyText],
  ['request.auth.principal', anyText],
  ['request.auth.audiences', anyText],
  ['request.auth.presenter', anyText],
  ['destination.ip', checkAddress],
  ['destination.port', checkPortText],
  ['connection.sni', anyText],
]);

/** Keys of `when` with a name in brackets. */
const KEYED: readonly string[] = [
  'request.headers',
  'request.experimental.inline.headers',
  'request.auth.claims',
  'experimental.envoy.filters.',
];

/** Keys of Istio's first policies, and what stands for them now. */
const GONE: ReadonlyMap<string, string> = new Map([
  ['destination.namespace', "is said by the policy's own namespace"],
  ['destination.name', "was of Istio's v1alpha1 policies only"],
  ['destination.user', "was of Istio's v1alpha1 policies only"],
]);

/** Checks one condition of a rule. */
export function checkCondition(
  condition: {
    readonly key: string;
    readonly values?: readonly string[] | undefined;
    readonly notValues?: readonly string[] | undefined;
  },
  path: FieldPath,
  report: Report,
): void {
  const { key, values = [], notValues = [] } = condition;
  if (key === '') {
    report.invalid([...path, 'key'], 'the key of a condition must not be empty');
    return;
  }
  if (values.length === 0 && notValues.length === 0) {
    report.invalid(path, `a condition needs values or notValues, as ${key} has neither`);
    return;
  }
  const rule = ruleOf(key, [...path, 'key'], report);
  checkValues(values, [...path, 'values'], rule, report);
  checkValues(notValues, [...path, 'notValues'], rule, report);
}

function ruleOf(key: string, path: FieldPath, report: Report): ValueRule {
  const keyed = KEYED.find((prefix) => key.startsWith(prefix));
  if (keyed !== undefined) {
    if (!hasName(key, keyed)) {
      const form = `${keyed}${keyed.endsWith('.') ? 'some.filter' : ''}[name]`;
      report.invalid(path, `${JSON.stringify(key)} lacks a name in brackets, as in ${form}`);
    }
    return anyText;
  }
  const known = ATTRIBUTES.get(key);
  if (known !== undefined) return known;
  const gone = key.startsWith('destination.labels') ? "is said by the policy's selector" : GONE.get(key);
  report.add({
    code: 'INMESH_CONFIG_INVALID',
    severity: 'error',
    message: `the condition ${JSON.stringify(key.slice(0, 80))} ${gone ?? 'is not known'}`,
    path,
    suggestion: gone === undefined ? suggest(key, [...ATTRIBUTES.keys(), ...KEYED]) : undefined,
  });
  return anyText;
}

/** Whether names stand in brackets at the end, and nothing else; a claim may have several. */
function hasName(key: string, prefix: string): boolean {
  if (prefix.endsWith('.')) return /^[^[\]]+\[.+\]$/s.test(key.slice(prefix.length));
  const names = key.slice(prefix.length);
  return prefix === 'request.auth.claims' ? /^(?:\[[^[\]]+\])+$/.test(names) : /^\[[^[\]]+\]$/.test(names);
}

/** No value of a list is empty, and each is what the rule wants. */
export function checkValues(
  values: readonly string[] | undefined,
  path: FieldPath,
  rule: ValueRule,
  report: Report,
): void {
  for (const [value, at] of entriesOf(values, path)) {
    const reason = value === '' ? 'must not be empty' : rule(value);
    if (reason !== undefined) report.invalid(at, `${JSON.stringify(value.slice(0, 80))} ${reason}`);
  }
}

/** An address or a range of them. */
export function checkAddress(value: string): string | undefined {
  const slash = value.indexOf('/');
  const version = isIP(slash < 0 ? value : value.slice(0, slash));
  const bits = slash < 0 ? '0' : value.slice(slash + 1);
  const isBits = /^(?:0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128);
  return version !== 0 && isBits ? undefined : 'is neither an IP address nor a range such as 10.0.0.0/8';
}

/** The text of a port. */
export function checkPortText(value: string): string | undefined {
  return /^\d{1,10}$/.test(value) && Number(value) <= 65_535 ? undefined : 'is not a port';
}

/** The name of a service account, alone or with its namespace (Istio: CheckServiceAccount). */
export function checkServiceAccount(value: string): string | undefined {
  if (value.includes('*')) return 'must not have a wildcard';
  if (value.length > 320) return 'must have at most 320 characters';
  return /^[^/]+(?:\/[^/]+)?$/.test(value) ? undefined : 'must be a service account, or namespace/account';
}

/** A trust domain, with a wildcard at one end or alone. */
export function checkTrustDomain(value: string): string | undefined {
  return value.includes('/') ? 'must be a trust domain without a path' : undefined;
}

/** A segment between slashes of a template (RFC 3986 pchar without `*`). */
const LITERAL = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/;

/** Whether a path is a template: it has `{*}` or `{**}`. */
export function isPathTemplate(value: string): boolean {
  return value.includes('{*}') || value.includes('{**}');
}

/** A path, with a wildcard at one end, or a template (Istio: CheckValidPathTemplate). */
export function checkPath(value: string): string | undefined {
  const isTemplate = isPathTemplate(value);
  let hasRest = false;
  for (const segment of value.replaceAll(/^\/+|\/+$/g, '').split('/')) {
    const isWildcard = segment === '{*}' || segment === '{**}';
    if (isWildcard && hasRest) return 'has a wildcard after {**}, which must be the last';
    hasRest ||= segment === '{**}';
    if (isWildcard) continue;
    if (/[{}]/.test(segment)) return 'has a brace that is not part of {*} or {**}';
    if (isTemplate && !LITERAL.test(segment))
      return `has the segment ${JSON.stringify(segment)}, which no path has`;
  }
  return undefined;
}
