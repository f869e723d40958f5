import type { FaultConfig } from '../model/filter-config.js';
import type { FractionalPercent } from '../model/percent.js';
import type { HeaderMap } from '../service/headers.js';

/**
 * What a fault comes to for one request. Where the configuration leaves it to the caller, headers say how much, and may
 * lower the share of requests it happens to, never raise it.
 */

type FaultDelay = NonNullable<FaultConfig['delay']>;
type FaultRate = NonNullable<FaultConfig['responseRate']>;
type FaultAbort = NonNullable<FaultConfig['abort']>;

/** The status of an injected answer. */
export interface AbortStatus {
  readonly kind: 'http' | 'grpc';
  readonly code: number;
}

/** Milliseconds; undefined or 0 for no delay. */
export function delayOf({ fixedMs }: FaultDelay, headers: HeaderMap): number | undefined {
  return fixedMs ?? unsigned(headers.get('x-envoy-fault-delay-request'));
}

/** Envoy: an HTTP status goes before one of gRPC; one that is no status is ignored. */
export function abortOf({ status }: FaultAbort, headers: HeaderMap): AbortStatus | undefined {
  if (status.kind !== 'header') return status;
  const http = unsigned(headers.get('x-envoy-fault-abort-request'));
  if (http !== undefined && http >= 200 && http < 600) return { kind: 'http', code: http };
  const grpc = unsigned(headers.get('x-envoy-fault-abort-grpc-request'));
  return grpc === undefined || grpc > MAX_UINT32 ? undefined : { kind: 'grpc', code: grpc };
}

/** KiB a second; undefined for no limit: a header with 0 or no number is ignored. */
export function rateOf({ limitKbps }: FaultRate, headers: HeaderMap): number | undefined {
  return limitKbps ?? (unsigned(headers.get('x-envoy-fault-throughput-response')) || undefined);
}

/** The share of requests whose response is slowed down. */
export function rateShare({ limitKbps, percentage }: FaultRate, headers: HeaderMap): FractionalPercent {
  return limitKbps === undefined
    ? lowered(percentage, headers, 'x-envoy-fault-throughput-response-percentage')
    : percentage;
}

/** The share of requests a delay happens to. */
export function delayShare({ fixedMs, percentage }: FaultDelay, headers: HeaderMap): FractionalPercent {
  return fixedMs === undefined
    ? lowered(percentage, headers, 'x-envoy-fault-delay-request-percentage')
    : percentage;
}

/** The share of requests an abort happens to. */
export function abortShare({ status, percentage }: FaultAbort, headers: HeaderMap): FractionalPercent {
  return status.kind === 'header'
    ? lowered(percentage, headers, 'x-envoy-fault-abort-request-percentage')
    : percentage;
}

const MAX_UINT32 = 0xffff_ffff;

function lowered(percentage: FractionalPercent, headers: HeaderMap, name: string): FractionalPercent {
  const numerator = unsigned(headers.get(name));
  if (numerator === undefined || numerator > MAX_UINT32 || numerator >= percentage.numerator)
    return percentage;
  return { numerator, denominator: percentage.denominator };
}

/** Envoy `absl::SimpleAtoi` of an unsigned number: white space around it and a plus sign are allowed. */
function unsigned(text: string | undefined): number | undefined {
  if (text === undefined || !/^\s*\+?\d+\s*$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
