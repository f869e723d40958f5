import { findingsOf } from '../../gateway-api/findings.js';
import type { RuleViolation } from '../../schema/violation.js';
import type { ConfigView, Document } from '../../store/view.js';
import type { RouteKind } from './types.js';

// What the Gateway API says in the status of an object refuses nothing: the rest of it is carried out. So it is a warning.

/** What the status of a route complains about. */
export function routeReferences(document: Document<RouteKind>, view: ConfigView): readonly RuleViolation[] {
  return findingsOf(view, document);
}

/** What the status of a Gateway or a ListenerSet complains about. */
export function gatewayReferences(
  document: Document<'Gateway.gateway.networking.k8s.io'> | Document<'ListenerSet'>,
  view: ConfigView,
): readonly RuleViolation[] {
  return findingsOf(view, document);
}

/** What the status of a policy complains about. */
export function policyReferences(
  document: Document<'BackendTLSPolicy'>,
  view: ConfigView,
): readonly RuleViolation[] {
  return findingsOf(view, document);
}
