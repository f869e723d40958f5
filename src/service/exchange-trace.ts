import type { Attempt } from './context.js';
import type { Request } from './service.js';

/** The span of an exchange, as far as others have to do with it. The core never names OpenTelemetry. */
export interface ExchangeTrace {
  /** Begins the span of an attempt, which the request then names as its parent; undefined when attempts have none. */
  readonly attempt: AttemptTrace | undefined;
}

/** Begins the span of an attempt; what it gives ends it. */
export type AttemptTrace = (request: Request, attempt: Attempt, clusterName: string) => EndAttempt;

/** The attempt is over: its body is through, or it failed. */
export type EndAttempt = (attempt: Attempt, error: unknown) => void;
