import type { TcpRoute, TlsRoute } from '../kinds/types.js';
import type { Document } from '../kinds/view.js';
import { targetOfBackend } from './backends.js';
import { isComplaint } from './certificates.js';
import type { Grants } from './grants.js';

/** A host that nobody has: connections for it are closed. */
const NOWHERE = 'nowhere.invalid';
const NO_DESTINATION = [{ destination: { host: NOWHERE, port: { number: 1 } }, weight: 1 }];

type L4Route = Document<'TCPRoute'> | Document<'TLSRoute'>;

/** Where connections of a route go; undefined = it has no rule. Of several rules, which nothing tells apart, the first counts. */
export function l4Destinations(route: L4Route, grants: Grants): NonNullable<TcpRoute['route']> | undefined {
  const [rule] = route.spec.rules;
  if (rule === undefined) return undefined;
  const destinations = rule.backendRefs.map((backend) => {
    const target = targetOfBackend(route, backend, grants);
    const { host, port } = isComplaint(target) ? { host: NOWHERE, port: 1 } : target;
    return { destination: { host, port: { number: port } }, weight: backend.weight };
  });
  const isNowhere = destinations.every(({ weight }) => weight === 0);
  // Istio reads a sum of zero as equal shares.
  return isNowhere ? NO_DESTINATION : destinations;
}

/** The rule for whatever connection comes. */
export function tcpRuleOf(route: L4Route, grants: Grants): TcpRoute | undefined {
  const destinations = l4Destinations(route, grants);
  return destinations && { route: destinations };
}

/** The rule for connections that name one of the hosts in their first message. */
export function tlsRuleOf(route: L4Route, hosts: readonly string[], grants: Grants): TlsRoute | undefined {
  const destinations = l4Destinations(route, grants);
  return destinations && { match: [{ sniHosts: hosts }], route: destinations };
}

/** The rule that closes connections which name the host in their first message. */
export function refusalOf(host: string): TlsRoute {
  return { match: [{ sniHosts: [host] }], route: NO_DESTINATION };
}
