/** What a server says of its load (ORCA, gRFC A51); 0 = it did not say. */
export interface LoadReport {
  /** Above 1 when it is over what the server holds for its limit. */
  readonly cpuUtilization: number;
  readonly memUtilization: number;
  /** What the application itself holds for its load; goes before `cpuUtilization`. */
  readonly applicationUtilization: number;
  /** Requests per second. */
  readonly rps: number;
  /** Failed requests per second. */
  readonly eps: number;
  /** Utilization of further resources. */
  readonly utilization: ReadonlyMap<string, number>;
  /** What this request cost. */
  readonly requestCost: ReadonlyMap<string, number>;
  /** Whatever else the application counts. */
  readonly namedMetrics: ReadonlyMap<string, number>;
}
