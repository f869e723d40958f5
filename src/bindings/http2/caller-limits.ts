/** Time-outs of undici that its callers may ask for, in milliseconds. */
export interface CallerLimits {
  readonly headersTimeout?: number | null;
  readonly bodyTimeout?: number | null;
}

/** What is said when one is over. */
export interface CallerTimeout {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

export const HEADERS_TIMEOUT: CallerTimeout = {
  name: 'HeadersTimeoutError',
  code: 'UND_ERR_HEADERS_TIMEOUT',
  message: 'Headers Timeout Error',
};
export const BODY_TIMEOUT: CallerTimeout = {
  name: 'BodyTimeoutError',
  code: 'UND_ERR_BODY_TIMEOUT',
  message: 'Body Timeout Error',
};

/** Those that the options have; undefined when they have none. */
export function callerLimits(options: unknown): CallerLimits | undefined {
  if (typeof options !== 'object' || options === null) return undefined;
  const limits = options as CallerLimits;
  return limits.headersTimeout || limits.bodyTimeout ? limits : undefined;
}
