import { compileRegex } from '../../routing/regex.js';
import { messageOf } from '../../runtime/errors.js';
import { isDnsLabel, isDnsName, isLabelKey, isLabelValue } from './names.js';
import { entriesOf, type Report } from './report.js';
import type { FieldPath } from './view.js';

/** The name of the pseudo-gateway that stands for all clients in the mesh. */
export const MESH_GATEWAY = 'mesh';

/** Labels of workloads are Kubernetes labels (Istio: labels.Validate). */
export function checkLabels(
  labels: Readonly<Record<string, string>> | undefined,
  path: FieldPath,
  report: Report,
): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    const at = [...path, key];
    if (!isLabelKey(key)) report.invalid(at, `${JSON.stringify(key)} is not the name of a label`);
    if (!isLabelValue(value)) report.invalid(at, `${JSON.stringify(value)} is not the value of a label`);
  }
}

const MAX_LABEL_VALUE = 63;

/** Labels of a selector: no wildcards, no empty name (Istio: validateWorkloadSelector). */
export function checkSelector(
  labels: Readonly<Record<string, string>> | undefined,
  path: FieldPath,
  report: Report,
): void {
  if (labels === undefined || Object.keys(labels).length === 0) {
    report.warn(path, 'the selector has no labels, so it applies to every workload of its namespace');
  }
  for (const [key, value] of Object.entries(labels ?? {})) {
    const at = [...path, key];
    if (key === '') report.invalid(at, 'the name of a label must not be empty');
    if (key.includes('*') || value.includes('*')) report.invalid(at, 'a selector must not have wildcards');
    if (value.length > MAX_LABEL_VALUE) report.invalid(at, 'the value of a label has at most 63 characters');
  }
}

/**
 * Names of gateways: `mesh`, `name` or `namespace/name` (Istio: validateGatewayNames). Those that are made of a Gateway
 * of the Gateway API may have any name.
 */
export function checkGatewayNames(
  names: readonly string[] | undefined,
  path: FieldPath,
  report: Report,
  isGenerated = false,
): void {
  for (const [name, at] of entriesOf(names, path)) {
    const slash = name.indexOf('/');
    const [namespace, own] = [name.slice(0, Math.max(0, slash)), name.slice(slash + 1)];
    const isValid =
      slash < 0 ? isDnsName(own) : isDnsLabel(namespace) && own !== '' && (isGenerated || isDnsLabel(own));
    if (!isValid) report.invalid(at, `${JSON.stringify(name)} is not the name of a gateway`);
    else if (slash < 0 && name.includes('.')) {
      const [first = '', second = ''] = name.split('.');
      report.warn(at, `gateways are named namespace/name now: ${second}/${first}`);
    }
  }
}

/** Which namespaces see a document (Istio: validateExportTo). */
export function checkExportTo(
  exportTo: readonly string[] | undefined,
  namespace: string,
  report: Report,
  mayBeNone = false,
): void {
  const path = ['spec', 'exportTo'];
  const seen = new Set<string>();
  for (const [entry, at] of entriesOf(exportTo, path)) {
    const name = entry === '.' ? namespace : entry;
    if (seen.has(name)) report.invalid(at, `${JSON.stringify(entry)} is already in the list`);
    seen.add(name);
  }
  if (seen.has('*') && seen.size > 1)
    report.invalid(path, '"*" already covers every other namespace of the list');
  if (seen.has('~') && !mayBeNone)
    report.invalid(path, '"~" (nobody) would leave the document without effect');
  if (seen.has('~') && seen.size > 1)
    report.invalid(path, '"~" (nobody) excludes every other namespace of the list');
}

/** Istio: a regular expression has 1,024 characters at most. */
const MAX_PATTERN = 1024;

/** A pattern must be one of RE2, which matches in linear time. */
export function checkRegex(pattern: string, path: FieldPath, report: Report): void {
  if (pattern === '') {
    report.invalid(path, 'the regular expression must not be empty');
    return;
  }
  if (pattern.length > MAX_PATTERN) {
    report.invalid(path, `a regular expression has ${MAX_PATTERN} characters at most`);
    return;
  }
  try {
    compileRegex(pattern);
  } catch (error) {
    const reason = messageOf(error).replace(/^INMESH_\w+: /, '');
    report.invalid(path, reason);
  }
}
