import { GATEWAY_GROUP } from '../kinds/gateway-api/fields.js';
import { serviceHost } from '../mesh/names.js';
import type { MeshService } from '../mesh/services.js';
import type { Complaint } from './condition.js';
import type { Grants } from './grants.js';
import type { ApiRoute } from './parents.js';

/** A reference to where requests go. */
export interface BackendReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly port?: number | undefined;
}

/** Where requests go. */
export interface BackendTarget {
  readonly host: string;
  readonly port: number;
}

/** What a reference means; whether the service is there is another question. */
export function targetOfBackend(
  route: ApiRoute,
  { group, kind, name, namespace = route.namespace, port }: BackendReference,
  grants: Grants,
): BackendTarget | Complaint {
  const shown = `${kind} ${namespace}/${name}`;
  if (group === 'networking.istio.io' && kind === 'Hostname') {
    return port === undefined
      ? { reason: 'UnsupportedValue', message: `the reference to the host ${name} has no port` }
      : { host: name.toLowerCase(), port };
  }
  if (group !== '' || kind !== 'Service') {
    const of = group === '' ? kind : `${kind} of ${group}`;
    return { reason: 'InvalidKind', message: `requests go to Services, not to a ${of}` };
  }
  const from = { group: GATEWAY_GROUP, kind: route.kind, namespace: route.namespace };
  if (!grants(from, { group, kind, namespace, name }))
    return { reason: 'RefNotPermitted', message: `no ReferenceGrant allows to refer to ${shown}` };
  if (port === undefined)
    return { reason: 'UnsupportedValue', message: `the reference to ${shown} has no port` };
  return { host: serviceHost(name, namespace), port };
}

/** What of the documents is missing for a target, or is not what a route can lead to (Gateway API: BackendRef). */
export function missingTarget(
  { host, port }: BackendTarget,
  services: ReadonlyMap<string, MeshService>,
): Complaint | undefined {
  const service = services.get(host);
  if (service === undefined) return { reason: 'BackendNotFound', message: `there is no service ${host}` };
  if (service.ports.some((one) => one.number === port)) return undefined;
  const transport = otherTransport(service, port);
  if (transport !== undefined) {
    const message = `the port ${port} of the service ${host} is one of ${transport}; routes lead to ports of TCP`;
    return { reason: 'UnsupportedProtocol', message };
  }
  return { reason: 'BackendNotFound', message: `the service ${host} has no port ${port}` };
}

/** What a port of a Service speaks instead of TCP. */
function otherTransport({ source }: MeshService, port: number): 'UDP' | 'SCTP' | undefined {
  if (source.kind !== 'kubernetes') return undefined;
  const { protocol = 'TCP' } = source.spec.ports?.find((one) => one.port === port) ?? {};
  return protocol === 'TCP' ? undefined : protocol;
}
