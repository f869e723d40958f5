import { type PolicyTargets, targetKind, targetsOf } from '../kinds/policy-target.js';
import { selects } from './visibility.js';

/** What security policies are attached to: a workload, or a gateway. */
export interface PolicySubject {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Istio: a gateway of the Gateway API carries its name so. */
const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';
const GATEWAY = 'gateway.networking.k8s.io/Gateway';

interface Policy {
  readonly namespace: string;
  readonly spec: PolicyTargets;
}

/**
 * The policies for a subject: those of the root namespace first, then those of its own (Istio: getConfigsForWorkload). A
 * selector selects in either; what names a resource is for the gateway of that name alone.
 */
export function policiesFor<P extends Policy>(
  policies: readonly P[],
  subject: PolicySubject,
  rootNamespace: string,
): readonly P[] {
  const own = policies.filter((one) => isFor(one, subject, rootNamespace));
  if (subject.namespace === rootNamespace) return own;
  return [
    ...own.filter(({ namespace }) => namespace === rootNamespace),
    ...own.filter(({ namespace }) => namespace !== rootNamespace),
  ];
}

function isFor({ namespace, spec }: Policy, subject: PolicySubject, rootNamespace: string): boolean {
  if (namespace !== subject.namespace && namespace !== rootNamespace) return false;
  const targets = targetsOf(spec);
  if (targets.length === 0) return selects(spec.selector?.matchLabels, subject.labels);
  const gateway = subject.labels[GATEWAY_NAME];
  return (
    gateway !== undefined &&
    namespace === subject.namespace &&
    targets.some((one) => targetKind(one) === GATEWAY && one.name === gateway)
  );
}
