import { Abort } from '../runtime/abort.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { discardBody } from '../service/body.js';
import { Completion } from '../service/completion.js';
import { formatGrpcTimeout, grpcTimeoutOf } from '../service/grpc-timeout.js';
import { isGrpc, type LocalReply, localReply } from '../service/local-reply.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { TimeLimitError } from '../service/time-limit-error.js';

/** Limits of an exchange as a whole, from its route and its connection manager; undefined = not set, 0 = none. */
export interface StreamLimits {
  /** Longest pause: the route's `idle_timeout`, else the connection manager's `stream_idle_timeout`. */
  readonly idleMs: number | undefined;
  /** The route's `max_stream_duration`. */
  readonly routeDurationMs: number | undefined;
  /** The connection manager's `max_stream_duration`; 0 is none. */
  readonly managerDurationMs: number | undefined;
  /** How a caller's `grpc-timeout` counts: present when the route has a `max_stream_duration` message. */
  readonly grpcTimeout:
    | { readonly maxMs: number | undefined; readonly offsetMs: number | undefined }
    | undefined;
}

/** The reason of an abort that one of these limits made. */
export class StreamTimeout extends TimeLimitError {
  override readonly name = 'StreamTimeout';
}

/**
 * The limits that the connection manager keeps (Envoy): they cover the HTTP filters, too. Undefined when none is set, so
 * that routes without them pay nothing.
 */
export function streamLimits(limits: StreamLimits, clock: Clock): Filter | undefined {
  const idleMs = limits.idleMs ?? 0;
  const isNone =
    idleMs === 0 &&
    (limits.routeDurationMs ?? limits.managerDurationMs ?? 0) === 0 &&
    limits.grpcTimeout === undefined;
  if (isNone && limits.routeDurationMs === undefined) return undefined;
  return (request, next) => {
    const durationMs = durationOf(request, limits, clock);
    if (idleMs === 0 && durationMs === undefined) return next(request);
    return new LimitedStream(request, idleMs, clock).run(next, durationMs);
  };
}

/**
 * Envoy `refreshDurationTimeout`: how long the exchange may still take; undefined = no limit. The `grpc-timeout` for the
 * upstream is written before the time that was used up already is taken off.
 */
function durationOf(request: Request, limits: StreamLimits, clock: Clock): number | undefined {
  const { grpcTimeout } = limits;
  if (request.context.channelId !== undefined) return durationOfCall(request, limits, clock);
  const asked = grpcTimeout?.maxMs === undefined ? undefined : grpcTimeoutOf(request.headers);
  const rewrites = grpcTimeout !== undefined && isGrpc(request);
  const limitMs =
    asked === undefined
      ? configured(limits)
      : capped(asked, grpcTimeout?.maxMs ?? 0, grpcTimeout?.offsetMs ?? 0);
  if (limitMs === undefined) return undefined;
  if (rewrites) request.headers.set('grpc-timeout', formatGrpcTimeout(limitMs));
  return Math.max(0, limitMs - (clock.now() - request.context.startMs));
}

/**
 * gRFC A31, for calls of a gRPC client: `grpc_timeout_header_max`, where it is there, else the longest duration; never more
 * than the application's deadline. There is no offset: it is the client that keeps the deadline.
 */
function durationOfCall({ headers, context }: Request, limits: StreamLimits, clock: Clock) {
  const maxMs = limits.grpcTimeout?.maxMs;
  const limitMs = maxMs === undefined ? configured(limits) : maxMs === 0 ? undefined : maxMs;
  if (limitMs === undefined) return undefined;
  const asked = grpcTimeoutOf(headers);
  if (asked !== undefined && asked <= limitMs) return undefined;
  headers.set('grpc-timeout', formatGrpcTimeout(limitMs));
  return Math.max(0, limitMs - (clock.now() - context.startMs));
}

/** Envoy: 0 on the route is no limit, whatever the connection manager's is; 0 there is as good as nothing. */
function configured({ routeDurationMs, managerDurationMs = 0 }: StreamLimits): number | undefined {
  if (routeDurationMs !== undefined) return routeDurationMs === 0 ? undefined : routeDurationMs;
  return managerDurationMs === 0 ? undefined : managerDurationMs;
}

function capped(askedMs: number, maxMs: number, offsetMs: number): number {
  const limitMs = maxMs === 0 ? askedMs : Math.min(askedMs, maxMs);
  return Math.max(0, limitMs - offsetMs);
}

/** Looks per idle timeout: a pause is noticed a quarter late at most, and nothing is done per chunk. */
const LOOKS = 4;

class LimitedStream {
  readonly #request: Request;
  readonly #idleMs: number;
  readonly #clock: Clock;
  #duration: Timer | undefined;
  #idle: Timer | undefined;
  /** Looks in a row at which nothing had moved. */
  #quiet = 0;
  #seen = -1;
  #isAnswered = false;
  #isOver = false;
  #resolve!: (response: Response) => void;

  constructor(request: Request, idleMs: number, clock: Clock) {
    this.#request = request;
    this.#idleMs = idleMs;
    this.#clock = clock;
  }

  run(next: Service, durationMs: number | undefined): Promise<Response> {
    const request = this.#request;
    // A filter above that tries again after such a limit begins anew.
    if (request.abort.reason instanceof StreamTimeout) request.abort = new Abort();
    const { kind } = request.body;
    if (kind === 'push' || kind === 'native') {
      request.context.requestSent ??= new Completion();
      request.context.requestSent.onEnd(() => this.#touch());
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      if (durationMs !== undefined) {
        this.#duration = this.#clock.schedule(durationMs, () => this.#expire(DURATION));
      }
      if (this.#idleMs > 0) {
        this.#seen = this.#moved();
        this.#look();
      }
      next(request).then(
        (response) => this.#answer(response),
        (error: unknown) => {
          this.#finish();
          if (!this.#isAnswered) reject(error);
        },
      );
    });
  }

  #answer(response: Response): void {
    if (this.#isAnswered) {
      discardBody(response.body);
      return;
    }
    this.#isAnswered = true;
    this.#touch();
    this.#resolve(response);
    response.completion.onEnd(() => this.#finish());
  }

  #touch(): void {
    if (this.#isOver || this.#idleMs === 0) return;
    this.#idle?.cancel();
    this.#quiet = 0;
    this.#look();
  }

  #look(): void {
    this.#idle = this.#clock.schedule(this.#idleMs / LOOKS, () => {
      const moved = this.#moved();
      this.#quiet = moved === this.#seen ? this.#quiet + 1 : 0;
      this.#seen = moved;
      if (this.#quiet >= LOOKS) this.#expire(IDLE);
      else this.#look();
    });
  }

  /** Grows with every byte, either way. */
  #moved(): number {
    const { requestBytes, responseBytes, attemptCount, tunnel } = this.#request.context;
    const moved = requestBytes + responseBytes + attemptCount;
    return tunnel === undefined ? moved : moved + tunnel.bytesRead + tunnel.bytesWritten;
  }

  #expire({ reply, flag, details }: Limit): void {
    if (this.#isOver) return;
    this.#finish();
    const { context, abort } = this.#request;
    if (!context.flags.includes(flag)) context.flags.push(flag);
    const isAnswered = this.#isAnswered;
    this.#isAnswered = true;
    abort.abort(new StreamTimeout(reply.body));
    context.details = details;
    if (isAnswered) return;
    // Envoy: 408 while the request is not complete.
    const status = context.requestSent === undefined || context.requestSent.end !== undefined ? 504 : 408;
    this.#resolve(localReply(this.#request, { ...reply, status, details, reason: 'INMESH_TIMEOUT', flag }));
  }

  #finish(): void {
    this.#isOver = true;
    this.#duration?.cancel();
    this.#idle?.cancel();
  }
}

interface Limit {
  readonly reply: Pick<LocalReply, 'body' | 'grpcStatus'>;
  readonly flag: 'SI' | 'DT';
  readonly details: string;
}

const IDLE: Limit = { reply: { body: 'stream timeout' }, flag: 'SI', details: 'stream_idle_timeout' };
/** Envoy: gRPC callers get DEADLINE_EXCEEDED. */
const DURATION: Limit = {
  reply: { body: 'downstream duration timeout', grpcStatus: 4 },
  flag: 'DT',
  details: 'max_duration_timeout',
};
