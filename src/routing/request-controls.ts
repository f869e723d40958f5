import type { HeaderMap } from '../service/headers.js';
import type { RetryWishes } from '../service/time-limits.js';

/** What the headers of a request ask of the router; all of it is taken off before it goes upstream. */
export interface RequestControls {
  readonly timeoutMs: number | undefined;
  readonly perTryMs: number | undefined;
  readonly attemptMs: number | undefined;
  /** The time that the caller's own proxy gives it. It stays, and is overwritten for the upstream. */
  readonly expectedMs: number | undefined;
  readonly altResponse: boolean;
  readonly hedgeOnPerTry: boolean | undefined;
  readonly retry: RetryWishes | undefined;
}

const PREFIX = 'x-envoy-';

/** Whether a request can hold any control: most hold none, and then nothing is decoded. */
export function mayHaveControls(headers: HeaderMap): boolean {
  return headers.hasPrefix(PREFIX);
}

/** Takes the controls off a request. The application's own process is trusted with them (Envoy: internal requests). */
export function takeControls(headers: HeaderMap): RequestControls {
  const hedge = headers.take('x-envoy-hedge-on-per-try-timeout');
  return {
    timeoutMs: wholeNumber(headers.take('x-envoy-upstream-rq-timeout-ms')),
    perTryMs: wholeNumber(headers.take('x-envoy-upstream-rq-per-try-timeout-ms')),
    attemptMs: wholeNumber(headers.take('x-envoy-upstream-stream-duration-ms')),
    expectedMs: wholeNumber(headers.peek('x-envoy-expected-rq-timeout-ms')),
    altResponse: headers.take('x-envoy-upstream-rq-timeout-alt-response') !== undefined,
    hedgeOnPerTry: hedge === 'true' ? true : hedge === 'false' ? false : undefined,
    retry: takeRetryWishes(headers),
  };
}

function takeRetryWishes(headers: HeaderMap): RetryWishes | undefined {
  const wishes: RetryWishes = {
    retryOn: headers.take('x-envoy-retry-on'),
    retryGrpcOn: headers.take('x-envoy-retry-grpc-on'),
    maxRetries: headers.take('x-envoy-max-retries'),
    statusCodes: headers.take('x-envoy-retriable-status-codes'),
    headerNames: headers.take('x-envoy-retriable-header-names'),
  };
  return Object.values(wishes).some((wish) => wish !== undefined) ? wishes : undefined;
}

/** Envoy `absl::SimpleAtoi` of an unsigned number: white space around it is allowed, anything else is not. */
const WHOLE = /^[ \t\n\v\f\r]*\+?\d+[ \t\n\v\f\r]*$/;

/** The whole number in a header's value; undefined when it is none. */
export function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && WHOLE.test(text) ? Number(text) : undefined;
}
