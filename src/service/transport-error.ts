/** What became of an attempt without a response, in the terms that retry and outlier detection ask for. */
export type TransportFailure =
  /** Not connected: refused, unreachable, TLS failure, connect time-out. Nothing was sent. */
  | 'connect'
  /** The connection broke before a response; `requestSent` tells whether a byte of the request was on its way. */
  | 'reset'
  /** HTTP/2 RST_STREAM: the peer gave this one exchange up, the connection stands. */
  | 'remote-reset'
  /** HTTP/2 REFUSED_STREAM: the peer promises not to have processed it. */
  | 'refused'
  /** The peer's bytes are no HTTP. */
  | 'protocol'
  /** The per-try timeout (Envoy `per_try_timeout`) ended it. */
  | 'per-try-timeout'
  /** The attempt paused for too long (Envoy `per_try_idle_timeout`). */
  | 'per-try-idle-timeout'
  /** The attempt took longer than its cluster allows (Envoy `max_stream_duration`). */
  | 'stream-duration'
  /** The caller, or the route's timeout, gave up; or the caller asked for what can't be sent. */
  | 'aborted';

const BRAND = Symbol.for('inmesh.TransportError');

/** An attempt that got no response. `cause` is the library's own error. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly [BRAND] = true;
  readonly failure: TransportFailure;
  /** Whether any byte of the request may have reached the peer. */
  readonly requestSent: boolean;
  /** HTTP/2 error code that the peer reset the stream with; undefined when it did not. */
  readonly resetCode: number | undefined;

  constructor(failure: TransportFailure, requestSent: boolean, cause: unknown, resetCode?: number) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.failure = failure;
    this.requestSent = requestSent;
    this.resetCode = resetCode;
  }

  static is(value: unknown): value is TransportError {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}
