import type { Locality } from '../../model/endpoint.js';

/** One place that serves a port of a service. */
export interface Instance extends ServiceAccount {
  readonly labels: Readonly<Record<string, string>>;
  /** IP address, a Unix socket, or a host name for services that are resolved by DNS. */
  readonly address: string;
  readonly port: number;
  readonly locality: Locality;
  readonly weight: number;
  readonly tlsMode: 'istio' | 'disabled';
  /** Name of its workload, for telemetry (Istio: of the Deployment, of the WorkloadEntry, else of the ServiceEntry). */
  readonly workload: string;
  /** The cluster that it runs in; empty when nobody said. */
  readonly clusterId: string;
}

/** Whose identity an instance has. */
export interface ServiceAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
}
