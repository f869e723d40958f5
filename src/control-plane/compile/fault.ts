import type { FaultConfig, FilterOverrides, HttpFilter } from '../../model/filter-config.js';
import { NO_OVERRIDES } from '../../model/filter-config.js';
import type { FractionalPercent } from '../../model/percent.js';
import { GRPC_STATUS_NAMES } from '../../service/grpc-status-names.js';
import type { HttpFault } from '../kinds/types.js';

/** Instance name of the fault filter. */
export const FAULT = 'envoy.filters.http.fault';
const GRPC_CODES: ReadonlyMap<string, number> = new Map(GRPC_STATUS_NAMES.map((name, code) => [name, code]));

/** A fault that never happens. */
export const NO_FAULT: FaultConfig = {
  kind: 'fault',
  delay: undefined,
  abort: undefined,
  upstreamCluster: '',
  headers: [],
  maxActiveFaults: undefined,
};

/** The filters of every outbound listener; routes say what faults they have. */
export const OUTBOUND_FILTERS: readonly HttpFilter[] = [
  { name: FAULT, config: NO_FAULT },
  { name: 'envoy.filters.http.router', config: { kind: 'router' } },
];

/** The filters of every inbound listener. */
export const INBOUND_FILTERS: readonly HttpFilter[] = [
  { name: 'envoy.filters.http.router', config: { kind: 'router' } },
];

/** The fault of a route, as configuration of the fault filter for that route. */
export function compileFault(fault: HttpFault | undefined): FilterOverrides {
  if (fault === undefined) return NO_OVERRIDES;
  const config: FaultConfig = { ...NO_FAULT, delay: delayOf(fault), abort: abortOf(fault) };
  return config.delay === undefined && config.abort === undefined ? NO_OVERRIDES : new Map([[FAULT, config]]);
}

function delayOf({ delay }: HttpFault): FaultConfig['delay'] {
  if (delay?.fixedDelay === undefined) return undefined;
  const { fixedDelay: fixedMs, percentage, percent = 0 } = delay;
  // Istio: the older field, whole percents, holds where the newer one is missing.
  const share = percentage === undefined ? { value: percent } : percentage;
  return { fixedMs, percentage: percentageOf(share) };
}

function abortOf({ abort }: HttpFault): FaultConfig['abort'] {
  if (abort === undefined) return undefined;
  const percentage = percentageOf(abort.percentage);
  if (abort.httpStatus !== undefined) return { status: { kind: 'http', code: abort.httpStatus }, percentage };
  const code = GRPC_CODES.get(abort.grpcStatus ?? '');
  return code === undefined ? undefined : { status: { kind: 'grpc', code }, percentage };
}

/** Istio: a fault without a percentage happens to nobody. */
function percentageOf(percentage: { readonly value?: number | undefined } | undefined): FractionalPercent {
  return { numerator: Math.round((percentage?.value ?? 0) * 10_000), denominator: 1_000_000 };
}
