import { RETRY_CONDITIONS, type RetryCondition } from '../model/retry.js';

/** What a list of retry conditions says. */
export interface RetryTokens {
  readonly conditions: readonly RetryCondition[];
  /** Tokens that are no condition: Envoy ignores them, and strict checks refuse them. */
  readonly unknown: readonly string[];
}

const GRPC: readonly RetryCondition[] = [
  'cancelled',
  'deadline-exceeded',
  'resource-exhausted',
  'unavailable',
  'internal',
];
const HTTP: readonly RetryCondition[] = RETRY_CONDITIONS.filter((one) => !GRPC.includes(one));

/** `x-envoy-retry-on`: conditions for HTTP. */
export function parseRetryOn(text: string): RetryTokens {
  return parse(text, HTTP);
}

/** `x-envoy-retry-grpc-on`: conditions for gRPC. */
export function parseRetryGrpcOn(text: string): RetryTokens {
  return parse(text, GRPC);
}

/** Envoy: comma separated, trimmed, empty ones left out. */
function parse(text: string, known: readonly RetryCondition[]): RetryTokens {
  const tokens = splitTokens(text);
  return {
    conditions: known.filter((condition) => tokens.includes(condition)),
    unknown: tokens.filter((token) => !known.some((condition) => condition === token)),
  };
}

/** The tokens of a comma-separated list, trimmed; empty ones are left out. */
export function splitTokens(text: string): string[] {
  return text
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}
