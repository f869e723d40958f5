import type { ConfigView, Document, FieldPath } from '../kinds/view.js';
import type { RuleViolation } from '../schema/violation.js';
import { backendTlsOf } from './backend-tls.js';
import type { Complaint } from './condition.js';
import { documentServices } from './parents.js';
import { type RouteJudging, refusalOf, unresolvedBackends } from './route-status.js';
import { type GatewayApiState, gatewayApiState } from './state.js';

interface Judged extends RouteJudging {
  readonly state: GatewayApiState;
  readonly byDocument: ReadonlyMap<Document, readonly RuleViolation[]>;
}

const known = new WeakMap<ConfigView, Judged['byDocument']>();

/** What the status of a document complains about; it refuses nothing, so these are warnings. */
export function findingsOf(view: ConfigView, document: Document): readonly RuleViolation[] {
  let all = known.get(view);
  if (all === undefined) {
    all = computeAll(view);
    known.set(view, all);
  }
  return all.get(document) ?? [];
}

function computeAll(view: ConfigView): Judged['byDocument'] {
  const state = gatewayApiState(view);
  const judging = { services: documentServices(view), grants: state.lookup.grants };
  const found = new Map<Document, RuleViolation[]>();
  const add = (document: Document, complaint: Complaint | undefined, path: FieldPath) => {
    if (complaint === undefined) return;
    found.set(document, [...(found.get(document) ?? []), warning(complaint, path)]);
  };
  for (const { route, parents } of state.routes) {
    for (const parent of parents)
      add(route, refusalOf(route, parent, judging), ['spec', 'parentRefs', parent.index]);
    for (const complaint of unresolvedBackends(route, judging)) add(route, complaint, complaint.path);
  }
  for (const { listeners, gateway, invalidParameters } of state.gateways) {
    add(gateway, invalidParameters, ['spec', 'infrastructure', 'parametersRef']);
    for (const { owner, path, notAccepted, conflict, unresolved } of listeners)
      add(owner, notAccepted ?? conflict ?? unresolved, path);
  }
  for (const { set, refusal } of state.sets) add(set, refusal, ['spec', 'parentRef']);
  for (const { policy, unresolved, notAccepted } of backendTlsOf(view))
    add(policy, notAccepted ?? unresolved, ['spec', 'validation']);
  return found;
}

function warning({ reason, message }: Complaint, path: FieldPath): RuleViolation {
  return { code: 'INMESH_CONFIG_REFERENCE', severity: 'warning', message: `${reason}: ${message}`, path };
}
