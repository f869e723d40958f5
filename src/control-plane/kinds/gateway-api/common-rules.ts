import { checkRegex } from '../common-rules.js';
import { entriesOf, type Report } from '../report.js';
import type { FieldPath } from '../view.js';
import { GATEWAY_GROUP } from './fields.js';
import type { LabelSelector, ParentReference } from './types.js';

/** Complains about every entry whose key an earlier one has. */
export function checkUnique<T>(
  list: readonly T[] | undefined,
  path: FieldPath,
  { keyOf, what, report }: { keyOf: (one: T) => string | undefined; what: string; report: Report },
): void {
  const seen = new Set<string>();
  for (const [one, at] of entriesOf(list, path)) {
    const key = keyOf(one);
    if (key === undefined) continue;
    if (seen.has(key)) report.invalid(at, `the ${what} ${JSON.stringify(key)} is already used`);
    seen.add(key);
  }
}

/**
 * Gateway API: references to one parent must name different sections or ports, and all of them in the same way. A namespace that
 * is written out makes another parent here, even where it is the one of the route.
 */
export function checkParents(parents: readonly ParentReference[] | undefined, report: Report): void {
  const path = ['spec', 'parentRefs'];
  const byParent = new Map<string, ParentReference[]>();
  for (const [parent, at] of entriesOf(parents, path)) {
    const { group, kind, name, namespace = '', sectionName = '', port } = parent;
    const key = [group, kind, namespace, name].join('/');
    const others = byParent.get(key) ?? [];
    for (const other of others) {
      const isSame = (other.sectionName ?? '') === sectionName && other.port === port;
      if (isSame) {
        report.invalid(
          at,
          'sectionName or port must be different where parentRefs name the same parent twice',
        );
      } else if (formOf(other) !== formOf(parent)) {
        report.invalid(
          at,
          'sectionName or port must be given, and the same of them, where parentRefs name the same parent twice',
        );
      }
    }
    byParent.set(key, [...others, parent]);
  }
}

function formOf({ sectionName = '', port }: ParentReference): string {
  return `${sectionName !== ''} ${port !== undefined}`;
}

/** A Service is reached by one of its ports. */
export function checkBackend(
  backend: { readonly group: string; readonly kind: string; readonly port?: number | undefined },
  path: FieldPath,
  report: Report,
): void {
  const needsPort = backend.group === '' && backend.kind === 'Service';
  if (needsPort && backend.port === undefined) report.invalid(path, 'a reference to a Service needs a port');
}

/** The definitions refuse a name twice; of names that differ in case only the first counts. */
export function checkHeaderNames(
  headers: readonly { readonly name: string }[] | undefined,
  path: FieldPath,
  report: Report,
): void {
  checkUnique(headers, path, { keyOf: ({ name }) => name, what: 'header', report });
  const seen = new Map<string, string>();
  for (const [{ name }, at] of entriesOf(headers, path)) {
    const key = name.toLowerCase();
    const first = seen.get(key) ?? name;
    if (first !== name) report.warn(at, `only ${first} counts, which is the same header as ${name}`);
    seen.set(key, first);
  }
}

/** Names of headers, and expressions for their values. */
export function checkHeaderMatches(
  headers: readonly { readonly type: string; readonly name: string; readonly value: string }[] | undefined,
  path: FieldPath,
  report: Report,
): void {
  checkHeaderNames(headers, path, report);
  for (const [{ type, value }, at] of entriesOf(headers, path)) {
    if (type === 'RegularExpression') checkRegex(value, [...at, 'value'], report);
  }
}

/** Kubernetes: an expression with `In` or `NotIn` needs values, the others have none. */
export function checkSelector(selector: LabelSelector | undefined, path: FieldPath, report: Report): void {
  for (const [{ operator, values = [] }, at] of entriesOf(selector?.matchExpressions, [
    ...path,
    'matchExpressions',
  ])) {
    const needsValues = operator === 'In' || operator === 'NotIn';
    if (needsValues !== values.length > 0) {
      report.invalid(at, needsValues ? `${operator} needs values` : `${operator} has no values`);
    }
  }
}

/** Whether a reference is to a Gateway or a ListenerSet. */
export function isGatewayParent({ group, kind }: Pick<ParentReference, 'group' | 'kind'>): boolean {
  return group === GATEWAY_GROUP && (kind === 'Gateway' || kind === 'ListenerSet');
}
