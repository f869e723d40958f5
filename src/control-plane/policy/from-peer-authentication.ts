import type { MtlsMode, PeerAuthentications } from '../compile/peer-authentication.js';
import type { PolicyGroup, PolicyRule, WorkloadPolicy } from './workload-policy.js';

/** Istio's name of the policy that refuses plaintext everywhere; `_` can't be in the name of a document. */
const STATIC_STRICT = 'istio_converted_static_strict';
const CONVERTED = 'converted_peer_authentication_';

const NOT_IDENTIFIED = { notPrincipals: [{ kind: 'presence' }] } as const;

/** The policy of a workload on all of whose ports plaintext is refused. */
export function staticStrict(rootNamespace: string): WorkloadPolicy {
  return {
    name: STATIC_STRICT,
    namespace: rootNamespace,
    scope: 'WORKLOAD_SELECTOR',
    action: 'DENY',
    groups: [{ rules: [{ matches: [NOT_IDENTIFIED] }] }],
  };
}

/**
 * What the PeerAuthentications that hold for a workload say, as rules: one that refuses plaintext, except on ports that
 * are let off, or one for the ports that are not. Undefined when plaintext is let in everywhere.
 *
 * DISABLE refuses no plaintext, and that a client is to do without TLS is no matter of policy.
 */
export function policyOfPeerAuthentications(
  { base, ports, workload }: PeerAuthentications,
  rootNamespace: string,
): WorkloadPolicy | undefined {
  const groups = groupsOf(base, ports);
  if (groups === undefined) return undefined;
  if (groups === 'strict' || workload === undefined) return staticStrict(rootNamespace);
  return {
    name: `${CONVERTED}${workload.name}`,
    namespace: workload.namespace,
    scope: 'WORKLOAD_SELECTOR',
    action: 'DENY',
    groups,
  };
}

function groupsOf(
  base: MtlsMode,
  ports: ReadonlyMap<number, MtlsMode>,
): readonly PolicyGroup[] | 'strict' | undefined {
  if (base === 'STRICT') {
    const free = [...ports].filter(([, mode]) => mode !== 'STRICT');
    if (free.length === 0) return 'strict';
    const exceptions = free.map(([port]): PolicyRule => ({ matches: [{ notDestinationPorts: [port] }] }));
    return [{ rules: [...exceptions, { matches: [NOT_IDENTIFIED] }] }];
  }
  const strict = [...ports].filter(([, mode]) => mode === 'STRICT');
  if (strict.length === 0) return undefined;
  return strict.map(([port]) => ({
    rules: [{ matches: [{ ...NOT_IDENTIFIED, destinationPorts: [port] }] }],
  }));
}
