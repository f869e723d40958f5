import { DEFAULT_DOMAIN } from '../kinds/hosts.js';

/** Name of an outbound cluster, as Istio writes it: `outbound|9080|v1|reviews.default.svc.cluster.local`. */
export function clusterName(port: number, subset: string, host: string): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** Name of the cluster, and of the route table, of a port that a workload serves. */
export function inboundClusterName(port: number): string {
  return `inbound|${port}||`;
}

/** The SNI by which meshed peers name an outbound cluster (Istio: BuildDNSSrvSubsetKey). */
export function clusterSni(port: number, subset: string, host: string): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** Full host name of a service of the mesh. */
export function serviceHost(name: string, namespace: string): string {
  return `${name}.${namespace}.svc.${DEFAULT_DOMAIN}`;
}

/** The port and host in the name of a whole service's cluster; undefined for other names. */
export function parseClusterName(name: string): { readonly port: number; readonly host: string } | undefined {
  const [, port, host] = /^outbound\|(\d+)\|\|(.+)$/.exec(name) ?? [];
  return port === undefined || host === undefined ? undefined : { port: Number(port), host };
}
