import { GATEWAY_GROUP } from '../kinds/gateway-api/fields.js';
import type { ParentReference } from '../kinds/gateway-api/types.js';
import type { Document } from '../kinds/view.js';
import type { MeshService } from '../mesh/services.js';
import { type BackendTls, backendTlsOf, isTargetThere } from './backend-tls.js';
import { targetOfBackend } from './backends.js';
import { isComplaint } from './certificates.js';
import { type Complaint, type Condition, conditionOf } from './condition.js';
import type { PolicyAncestorStatus } from './object-status.js';
import { CONTROLLER_NAME, type GatewayApiState } from './state.js';

/** Gateway API: a policy speaks to each Gateway whose routes lead to its target. */
export function policyAncestors(
  policy: Document<'BackendTLSPolicy'>,
  state: GatewayApiState,
  services: ReadonlyMap<string, MeshService>,
): readonly PolicyAncestorStatus[] {
  const own = backendTlsOf(state.lookup.view).filter(
    (one) => one.policy === policy && isTargetThere(one, services),
  );
  const hosts = new Set(own.map(({ host }) => host));
  const gateways = gatewaysTo(hosts, state);
  const targets = policy.spec.targetRefs.map(({ group, kind, name, sectionName }) => ({
    group,
    kind,
    name,
    namespace: policy.namespace,
    ...(sectionName !== undefined && { sectionName }),
  }));
  const conditions = policyConditions(own);
  return (gateways.length > 0 ? gateways : targets).map((ancestorRef) => ({
    ancestorRef,
    controllerName: CONTROLLER_NAME,
    conditions,
  }));
}

function policyConditions(own: readonly BackendTls[]): readonly Condition[] {
  const lost: Complaint | undefined =
    own.length === 0
      ? { reason: 'TargetNotFound', message: 'there is no Service, or port of one, that it is for' }
      : undefined;
  const refusal = lost ?? own.find(({ notAccepted }) => notAccepted !== undefined)?.notAccepted;
  const unresolved = own.find((one) => one.unresolved !== undefined)?.unresolved;
  return [conditionOf('Accepted', refusal), conditionOf('ResolvedRefs', unresolved)];
}

function gatewaysTo(
  hosts: ReadonlySet<string>,
  { routes, lookup }: GatewayApiState,
): readonly ParentReference[] {
  const found = new Map<string, ParentReference>();
  for (const { route, parents } of routes) {
    const leads = (route.spec.rules ?? []).some(({ backendRefs = [] }) =>
      backendRefs.some((backend) => {
        const target = targetOfBackend(route, backend, lookup.grants);
        return !isComplaint(target) && hosts.has(target.host);
      }),
    );
    if (!leads) continue;
    for (const { listener } of parents.flatMap(({ listeners }) => listeners)) {
      const { name, namespace } = listener.gateway;
      found.set(`${namespace}/${name}`, { group: GATEWAY_GROUP, kind: 'Gateway', namespace, name });
    }
  }
  return [...found.values()];
}
