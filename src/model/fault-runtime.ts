/** The runtime keys that a fault filter's numbers follow. */
export interface FaultRuntimeKeys {
  readonly delayPercent: string;
  readonly delayMs: string;
  readonly abortPercent: string;
  readonly httpStatus: string;
  readonly grpcStatus: string;
  readonly maxActiveFaults: string;
  readonly ratePercent: string;
}

/** Envoy's names, where a filter names none of its own. */
export const FAULT_RUNTIME_KEYS: FaultRuntimeKeys = {
  delayPercent: 'fault.http.delay.fixed_delay_percent',
  delayMs: 'fault.http.delay.fixed_duration_ms',
  abortPercent: 'fault.http.abort.abort_percent',
  httpStatus: 'fault.http.abort.http_status',
  grpcStatus: 'fault.http.abort.grpc_status',
  maxActiveFaults: 'fault.http.max_active_faults',
  ratePercent: 'fault.http.rate_limit.response_percent',
};
