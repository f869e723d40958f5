import { isIP } from 'node:net';
import type { MeshService } from '../mesh/services.js';

/** The addresses that a service is dialled at besides its name: Istio's virtual addresses. */
export interface ServiceAddresses {
  readonly hosts: readonly string[];
  /** CIDR ranges: whole networks that stand for the service. */
  readonly ranges: readonly string[];
}

const NONE: ServiceAddresses = { hosts: [], ranges: [] };

/** Those that a document gives a service; `None` of Kubernetes (headless) and `0.0.0.0` of Istio are no addresses. */
export function addressesOf(service: MeshService | undefined): ServiceAddresses {
  const source = service?.source;
  if (source === undefined || source.kind === 'implied') return NONE;
  const given = source.kind === 'entry' ? source.spec.addresses : [source.spec.clusterIP ?? ''];
  if (given === undefined || given.length === 0) return NONE;
  const hosts = given.map(single).filter((one) => isIP(one) !== 0 && one !== '0.0.0.0' && one !== '::');
  const ranges = given.filter((one) => one.includes('/') && isIP(single(one)) === 0);
  return { hosts: [...new Set(hosts)], ranges: [...new Set(ranges)] };
}

/** A network of one address is that address. */
function single(address: string): string {
  return address.replace(address.includes(':') ? /\/128$/ : /\/32$/, '');
}

/** An address as it stands in the host of a URL. */
export function urlHost(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address;
}
