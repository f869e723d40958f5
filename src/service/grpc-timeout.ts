import type { HeaderMap } from './headers.js';

/** Milliseconds of each unit of `grpc-timeout`. */
const UNITS: Readonly<Record<string, number | undefined>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Envoy reads white space and a plus sign before the digits, and nothing after the unit. */
const FORMAT = /^[ \t\n\v\f\r]*\+?(\d+)([HMSmun])/;

/** gRPC over HTTP/2: no more than eight digits. */
const MAX_DIGITS = 99_999_999;

/** Milliseconds of a `grpc-timeout`, rounded up; undefined when it is none (Envoy: then there is no timeout). */
export function parseGrpcTimeout(text: string | undefined): number | undefined {
  const [, digits, unit] = FORMAT.exec(text ?? '') ?? [];
  const unitMs = unit === undefined ? undefined : UNITS[unit];
  if (digits === undefined || unitMs === undefined) return undefined;
  const count = Number(digits);
  if (count > MAX_DIGITS) return undefined;
  // Whole numbers divide exactly; multiplying by 0.001 would not.
  return unitMs >= 1 ? count * unitMs : Math.ceil(count / Math.round(1 / unitMs));
}

/** A `grpc-timeout` of so many milliseconds, in the finest unit that holds it (Envoy: truncated). */
export function formatGrpcTimeout(ms: number): string {
  const whole = Math.floor(ms);
  if (whole <= MAX_DIGITS) return `${whole}m`;
  const seconds = Math.floor(whole / 1000);
  if (seconds <= MAX_DIGITS) return `${seconds}S`;
  const minutes = Math.floor(seconds / 60);
  if (minutes <= MAX_DIGITS) return `${minutes}M`;
  return `${Math.min(Math.floor(minutes / 60), MAX_DIGITS)}H`;
}

/** The timeout that the caller of a gRPC method asks for. */
export function grpcTimeoutOf(headers: HeaderMap): number | undefined {
  return parseGrpcTimeout(headers.peek('grpc-timeout'));
}
