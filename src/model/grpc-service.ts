/** Envoy GrpcService of kind EnvoyGrpc: a service that is called through a cluster, which must speak HTTP/2. */
export interface GrpcService {
  readonly cluster: string;
  /** Host that is asked for; empty = the cluster's name. */
  readonly authority: string;
  /** Undefined = what the filter says. */
  readonly timeoutMs: number | undefined;
  /** Sent with each call; values are format strings. */
  readonly initialMetadata: readonly NamedFormat[];
  /** Longest answer in bytes; undefined = the default of 4 MiB. */
  readonly maxReceiveBytes: number | undefined;
}

/** A header with a format string as its value. */
export interface NamedFormat {
  /** Lower case. */
  readonly name: string;
  readonly value: string;
}
