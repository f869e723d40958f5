import { parseSpiffeId } from '../../identity/spiffe-id.js';
import type { Node } from '../../model/node.js';
import { MeshError } from '../../runtime/errors.js';
import { isLoopbackPeer } from '../ca/peer-address.js';
import type { CallerIdentity } from './caller.js';

/**
 * A node may only be what its certificate or token says. Without either it is believed on this machine (where the
 * interceptor lets it come that far), and nobody elsewhere.
 * @throws MeshError `INMESH_CA_REFUSED`.
 */
export function checkIdentity(node: Node, caller: CallerIdentity | undefined, peer: string): void {
  if (caller === undefined) {
    if (isLoopbackPeer(peer)) return;
    throw new MeshError('INMESH_CA_REFUSED', 'a client from another machine has to show a certificate', {
      resource: peer,
      hint: 'Connect to the secure port with the certificate of the workload',
    });
  }
  const { NAMESPACE, SERVICE_ACCOUNT } = node.metadata;
  // Registrations belong to node ids: nobody takes over what another namespace registered.
  const namespaceOfId = /~([^~.]+)\.svc\.[^~]*$/.exec(node.id)?.[1] ?? NAMESPACE;
  const own = /^\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(parseSpiffeId(caller.spiffeId).path);
  const isOwn = own !== null && own[1] === NAMESPACE && own[2] === SERVICE_ACCOUNT;
  if (isOwn && namespaceOfId === NAMESPACE) return;
  throw new MeshError(
    'INMESH_CA_REFUSED',
    `the node ${node.id} claims ${NAMESPACE}/${SERVICE_ACCOUNT}, its identity says otherwise`,
    {
      resource: caller.spiffeId,
      hint: 'Start the workload with the namespace and service account of its certificate or token',
    },
  );
}
