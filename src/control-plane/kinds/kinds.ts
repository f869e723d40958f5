import { authorizationPolicyKind } from './authorization-policy.js';
import { destinationRuleKind } from './destination-rule.js';
import { gatewayKind } from './gateway.js';
import type { Kind } from './kind.js';
import { deploymentKind, namespaceKind, serviceAccountKind, serviceKind } from './kubernetes.js';
import { peerAuthenticationKind } from './peer-authentication.js';
import { requestAuthenticationKind } from './request-authentication.js';
import { secretKind } from './secret.js';
import { serviceEntryKind } from './service-entry.js';
import type { KindName } from './types.js';
import { virtualServiceKind } from './virtual-service.js';
import { workloadEntryKind } from './workload-entry.js';

/** Every kind that the control plane reads. A new kind is one file and one line here. */
export const KINDS: { readonly [K in KindName]: Kind<K> } = {
  VirtualService: virtualServiceKind,
  DestinationRule: destinationRuleKind,
  ServiceEntry: serviceEntryKind,
  WorkloadEntry: workloadEntryKind,
  PeerAuthentication: peerAuthenticationKind,
  RequestAuthentication: requestAuthenticationKind,
  AuthorizationPolicy: authorizationPolicyKind,
  Gateway: gatewayKind,
  Service: serviceKind,
  Deployment: deploymentKind,
  Namespace: namespaceKind,
  ServiceAccount: serviceAccountKind,
  Secret: secretKind,
};

/** Whether the text names a kind that the control plane reads. */
export function isKindName(name: string): name is KindName {
  return Object.hasOwn(KINDS, name);
}
