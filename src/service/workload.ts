/** A service as Istio's telemetry names it. */
export interface ServiceInfo {
  /** Full host name. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** A workload as Istio's telemetry names it; what is not known is empty. */
export interface WorkloadInfo {
  readonly workload: string;
  readonly namespace: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly app: string;
  readonly version: string;
  readonly cluster: string;
}
