import type { ExchangeTimes } from '../../mesh/inbound.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { LocalReply } from '../../service/local-reply.js';

/** What the limits see of an exchange, and do to it. */
export interface LimitedExchange {
  /** Whether the last byte of the request is here. */
  readonly isComplete: boolean;
  readonly headSent: boolean;
  /** Grows with every byte, either way. */
  readonly moved: number;
  expire(reply: LocalReply): void;
}

/** Looks per idle timeout: a pause is noticed a quarter late at most, and nothing is done per chunk. */
const LOOKS = 4;
const REASON = 'INMESH_TIMEOUT';

/** Keeps the time of one exchange (Envoy: `request_timeout`, `stream_idle_timeout`, `max_stream_duration`). */
export class ExchangeTimers {
  readonly #exchange: LimitedExchange;
  readonly #limits: ExchangeTimes;
  readonly #clock: Clock;
  #request: Timer | undefined;
  #idle: Timer | undefined;
  #duration: Timer | undefined;
  #quiet = 0;
  #seen = -1;

  constructor(exchange: LimitedExchange, limits: ExchangeTimes, clock: Clock) {
    this.#exchange = exchange;
    this.#limits = limits;
    this.#clock = clock;
    const { requestMs, idleMs, durationMs } = limits;
    if (requestMs > 0 && !exchange.isComplete)
      this.#request = clock.schedule(requestMs, () => this.#requestLate());
    if (durationMs > 0)
      this.#duration = clock.schedule(durationMs, () => this.#expire(this.#durationReply()));
    if (idleMs > 0) this.#look();
  }

  stop(): void {
    this.#request?.cancel();
    this.#idle?.cancel();
    this.#duration?.cancel();
  }

  /** Envoy: the timer is off once the request is complete or its answer has begun. */
  #requestLate(): void {
    const { isComplete, headSent } = this.#exchange;
    if (isComplete || headSent) return;
    this.#expire({
      status: 408,
      body: 'request timeout',
      details: 'request_overall_timeout',
      reason: REASON,
    });
  }

  #look(): void {
    this.#idle = this.#clock.schedule(this.#limits.idleMs / LOOKS, () => {
      const { moved } = this.#exchange;
      this.#quiet = moved === this.#seen ? this.#quiet + 1 : 0;
      this.#seen = moved;
      if (this.#quiet >= LOOKS) this.#expire(this.#idleReply());
      else this.#look();
    });
  }

  #idleReply(): LocalReply {
    const status = this.#lateStatus();
    return { status, body: 'stream timeout', details: 'stream_idle_timeout', reason: REASON, flag: 'SI' };
  }

  #durationReply(): LocalReply {
    const body = 'downstream duration timeout';
    const status = this.#lateStatus();
    return { status, body, details: 'max_duration_timeout', reason: REASON, flag: 'DT', grpcStatus: 4 };
  }

  /** Envoy: 408 while the request is not complete. */
  #lateStatus(): number {
    return this.#exchange.isComplete ? 504 : 408;
  }

  #expire(reply: LocalReply): void {
    this.stop();
    this.#exchange.expire(reply);
  }
}
