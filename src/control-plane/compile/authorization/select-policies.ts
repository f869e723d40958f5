import type { ConfigView, Document } from '../../kinds/view.js';
import { type PolicySubject, policiesFor } from '../policy-scope.js';

type Policy = Document<'AuthorizationPolicy'>;

/** The policies that hold for a workload, by what they do; the oldest first, those of the mesh before all others. */
export interface EffectivePolicies {
  readonly custom: readonly Policy[];
  readonly deny: readonly Policy[];
  readonly allow: readonly Policy[];
  readonly audit: readonly Policy[];
}

/** Selects the policies of a workload (Istio: ListAuthorizationPolicies). */
export function effectivePolicies(
  view: ConfigView,
  subject: PolicySubject,
  rootNamespace: string,
): EffectivePolicies {
  const chosen = policiesFor(view.list('AuthorizationPolicy'), subject, { view, rootNamespace });
  const doing = (action: string) => chosen.filter(({ spec }) => (spec.action ?? 'ALLOW') === action);
  return { custom: doing('CUSTOM'), deny: doing('DENY'), allow: doing('ALLOW'), audit: doing('AUDIT') };
}
