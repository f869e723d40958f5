import { claimPath } from './claim-name.js';
import { checkGatewayNames, checkLabels, checkRegex } from './common-rules.js';
import { checkHeaderName } from './header-rules.js';
import { isDnsLabel } from './names.js';
import type { Report } from './report.js';
import type { HttpMatch, StringMatch } from './types.js';
import type { FieldPath } from './view.js';

const PSEUDO_HEADERS: ReadonlySet<string> = new Set([':method', ':authority', ':path', ':scheme', ':status']);

/** Istio: as names of headers these are ignored. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['uri', 'scheme', 'method', 'authority']);

/** Istio HTTPMatchRequest. */
export function checkHttpMatch(match: HttpMatch, path: FieldPath, report: Report): void {
  // Envoy: the empty prefix of a path matches every path; of other things nobody means it.
  if (match.uri?.regex !== undefined) checkRegex(match.uri.regex, [...path, 'uri', 'regex'], report);
  for (const field of ['scheme', 'method', 'authority'] as const) {
    checkStringMatch(match[field], [...path, field], report);
  }
  for (const field of ['headers', 'withoutHeaders'] as const) checkHeaders(match, field, path, report);
  for (const [name, value] of Object.entries(match.queryParams ?? {})) {
    checkStringMatch(value, [...path, 'queryParams', name], report);
  }
  checkGatewayNames(match.gateways, [...path, 'gateways'], report);
  checkLabels(match.sourceLabels, [...path, 'sourceLabels'], report);
  const { sourceNamespace } = match;
  if (sourceNamespace !== undefined && !isDnsLabel(sourceNamespace)) {
    report.invalid([...path, 'sourceNamespace'], `${JSON.stringify(sourceNamespace)} is not a namespace`);
  }
}

function checkHeaders(
  match: HttpMatch,
  field: 'headers' | 'withoutHeaders',
  path: FieldPath,
  report: Report,
): void {
  for (const [name, value] of Object.entries(match[field] ?? {})) {
    const at = [...path, field, name];
    if (OWN_FIELDS.has(name))
      report.warn(at, `the header ${name} is ignored: use the field ${name} of the match`);
    if (!PSEUDO_HEADERS.has(name) && claimPath(name) === undefined) checkHeaderName(name, at, report);
    // Istio: here `*` is no expression, it stands for any value.
    const isAnyValue = field === 'withoutHeaders' && value.regex === '*';
    if (!isAnyValue) checkStringMatch(value, at, report);
  }
}

/** Istio: an empty prefix or expression matches everything, which nobody means; `exact: ""` asks for presence. */
export function checkStringMatch(match: StringMatch | undefined, path: FieldPath, report: Report): void {
  if (match?.prefix === '') report.invalid([...path, 'prefix'], 'the prefix must not be empty');
  if (match?.regex !== undefined) checkRegex(match.regex, [...path, 'regex'], report);
}
