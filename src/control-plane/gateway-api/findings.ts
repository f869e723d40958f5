import { isEqual } from '../../runtime/equal.js';
import { derived, lookup } from '../kinds/derived.js';
import type { ConfigView, Document, FieldPath, KindName } from '../kinds/view.js';
import type { RuleViolation } from '../schema/violation.js';
import { backendTlsOf } from './backend-tls.js';
import type { Complaint } from './condition.js';
import { documentServices } from './parents.js';
import { grantedTo, refusalOf, unresolvedBackends } from './route-status.js';
import { gatewayApiState } from './state.js';

type Findings = ReadonlyMap<object, readonly RuleViolation[]>;

const NONE: readonly RuleViolation[] = [];

/** Kinds of the Gateway API whose status complains about what refuses nothing, as the rest of the object is carried out. */
export const KINDS_WITH_FINDINGS: readonly KindName[] = [
  'Gateway.gateway.networking.k8s.io',
  'ListenerSet',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'BackendTLSPolicy',
];

/** What the status of a document complains about; it refuses nothing, so these are warnings. */
export function findingsOf(view: ConfigView, { spec }: Document): readonly RuleViolation[] {
  return findingsFor(view, spec);
}

/** By spec: it belongs to one document. */
const findingsFor = lookup(derived(computeAll), (all, spec: object) => all.get(spec) ?? NONE, isEqual);

function computeAll(view: ConfigView): Findings {
  const state = gatewayApiState(view);
  const judging = { services: documentServices(view), grants: state.lookup.grants };
  const found = new Map<object, RuleViolation[]>();
  const add = (document: Document, complaint: Complaint | undefined, path: FieldPath) => {
    if (complaint === undefined) return;
    const { spec } = document;
    found.set(spec, [...(found.get(spec) ?? []), warning(complaint, path)]);
  };
  for (const { route, parents } of state.routes) {
    for (const parent of parents)
      add(route, refusalOf(route, parent, judging), ['spec', 'parentRefs', parent.index]);
    // Where one parent asks for grants, what has none leads nowhere from there.
    const strict = parents.find((parent) => grantedTo(parent, judging) === judging);
    const judged = strict === undefined && parents[0] ? grantedTo(parents[0], judging) : judging;
    for (const complaint of unresolvedBackends(route, judged)) add(route, complaint, complaint.path);
  }
  for (const { listeners, gateway, refusal } of state.gateways) {
    if (refusal !== undefined) add(gateway, refusal, refusal.path);
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
