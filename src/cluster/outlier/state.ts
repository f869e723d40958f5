/** Requests and successes of the running interval, and what the last whole interval came to. */
export class SuccessCounter {
  total = 0;
  successes = 0;
  lastTotal = 0;
  lastSuccesses = 0;
  /** Percentage of the last interval if it had enough requests; Envoy: -1 when it was not computed. */
  rate = -1;

  /** Ends the interval. */
  rotate(): void {
    this.lastTotal = this.total;
    this.lastSuccesses = this.successes;
    this.total = 0;
    this.successes = 0;
    this.rate = -1;
  }
}

/** Requests whose failures may be told apart: by the peer's answers, or by this side of the wire. */
export type Origin = 'external' | 'local';

/** What outlier detection remembers of a host. */
export class OutlierState {
  consecutive5xx = 0;
  consecutiveGatewayFailure = 0;
  consecutiveLocalOriginFailure = 0;
  readonly external = new SuccessCounter();
  readonly local = new SuccessCounter();
  /** Number of base ejection times that the next ejection lasts at least. */
  backoff = 0;
  /** Envoy: one jitter for ejections and degradations, whichever came last. */
  jitterMs = 0;
  /** Ejections ever. */
  ejections = 0;
  ejectedAtMs: number | undefined = undefined;
  /** Name of the detector that ejected it last. */
  ejectedBy = '';
  unejectedAtMs: number | undefined = undefined;
  degradedBackoff = 0;
  degradedAtMs = 0;
  undegradedAtMs: number | undefined = undefined;
}
