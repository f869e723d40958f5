import { checkSelector } from './common-rules.js';
import { entriesOf, fieldsOf, type Report } from './report.js';
import type { FieldPath } from './view.js';

/** What a policy is for. */
export interface PolicyTargets {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> | undefined } | undefined;
  readonly targetRef?: TargetReference | undefined;
  readonly targetRefs?: readonly TargetReference[] | undefined;
}

export interface TargetReference {
  /** Empty or undefined = Kubernetes' own. */
  readonly group?: string | undefined;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
}

const MAX_TARGETS = 16;

/** `kind` by `group`, as Istio takes them. */
const TARGET_KINDS: readonly string[] = [
  '/Service',
  'networking.istio.io/ServiceEntry',
  'networking.istio.io/Gateway',
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
];

/** The resources that a policy names (Istio: `targetRefs` goes before the older `targetRef`). */
export function targetsOf({ targetRef, targetRefs = [] }: PolicyTargets): readonly TargetReference[] {
  if (targetRefs.length > 0) return targetRefs;
  return targetRef === undefined ? [] : [targetRef];
}

/** `group/kind` of a reference; Kubernetes' own group is empty. */
export function targetKind({ group = '', kind }: TargetReference): string {
  return `${group === 'core' ? '' : group}/${kind}`;
}

/** Istio: validateOneOfSelectorType, validateWorkloadSelector, validatePolicyTargetReferences. */
export function checkPolicyTargets(spec: PolicyTargets, report: Report): void {
  const { selector, targetRef, targetRefs } = spec;
  const given = fieldsOf({
    selector,
    targetRef,
    targetRefs: targetRefs?.length ? targetRefs : undefined,
  });
  if (given.length > 1) {
    report.invalid(['spec', given[1] ?? ''], `only one of ${given.join(', ')} may be given`);
  }
  if (selector !== undefined) checkSelector(selector.matchLabels, ['spec', 'selector'], report);
  if (targetRef !== undefined) checkReference(targetRef, ['spec', 'targetRef'], report);
  const path = ['spec', 'targetRefs'];
  if ((targetRefs?.length ?? 0) > MAX_TARGETS) {
    report.invalid(path, `targetRefs must have at most ${MAX_TARGETS} entries`);
  }
  for (const [one, at] of entriesOf(targetRefs, path)) checkReference(one, at, report);
}

function checkReference(reference: TargetReference, path: FieldPath, report: Report): void {
  const { name, namespace = '', group = '', kind } = reference;
  if (name === '') report.invalid([...path, 'name'], 'the name of what a policy is for must not be empty');
  if (namespace !== '') {
    report.invalid([...path, 'namespace'], 'a policy is for resources of its own namespace; leave it out');
  }
  if (TARGET_KINDS.includes(targetKind(reference))) return;
  const shown = JSON.stringify(group === '' ? kind : `${group}/${kind}`);
  const known = TARGET_KINDS.map((one) => one.replace(/^\//, '')).join(', ');
  report.invalid([...path, 'kind'], `a policy cannot be for ${shown}; it can for ${known}`);
}
