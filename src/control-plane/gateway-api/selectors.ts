import type { LabelSelector } from '../kinds/gateway-api/types.js';
import { meetsExpression } from '../kinds/label-expression.js';
import type { ConfigView } from '../kinds/view.js';

/** The label that Kubernetes gives every namespace. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Whether labels meet a selector of Kubernetes; an empty one is met by all, none by nobody. */
export function meetsSelector(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  if (selector === undefined) return false;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  const labelOf = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, value]) => labelOf(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) =>
      meetsExpression(labelOf(key), operator, values),
    )
  );
}

/** Whether objects of a namespace may be attached to something of another one. */
export function allowsNamespace(
  allowed: {
    readonly from: 'All' | 'Selector' | 'Same' | 'None';
    readonly selector?: LabelSelector | undefined;
  },
  namespaces: { readonly own: string; readonly other: string },
  view: ConfigView,
): boolean {
  const { own, other } = namespaces;
  switch (allowed.from) {
    case 'All':
      return true;
    case 'Same':
      return own === other;
    case 'None':
      return false;
    case 'Selector':
      return meetsSelector(allowed.selector, namespaceLabels(view, other));
    default:
      return allowed.from satisfies never;
  }
}

function namespaceLabels(view: ConfigView, name: string): Readonly<Record<string, string>> {
  // A Namespace stands in no namespace; files that give it none have it in `default`.
  const document = view.list('Namespace').find((one) => one.name === name);
  return { ...document?.labels, [NAME_LABEL]: name };
}
