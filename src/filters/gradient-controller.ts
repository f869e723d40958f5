import type { AdaptiveConcurrencyConfig } from '../model/overload.js';
import type { Clock } from '../runtime/clock.js';
import { type Random, remainderOf } from '../runtime/random.js';
import { LatencyHistogram } from './latency-histogram.js';

/** Windows in a row at the lowest limit after which the measured latency is doubted. */
const MAX_AT_MINIMUM = 5;
const NEVER = Number.POSITIVE_INFINITY;

/**
 * How many requests may run at once, found from their latencies (Envoy `GradientController`): now and then only few may
 * run, and their latency is taken for that without load; from then on the limit follows how far latencies are from it.
 *
 * What Envoy does by timers happens here when the next request comes or ends: nothing can be seen in between, and what
 * nobody uses leaves no timer behind.
 */
export class GradientController {
  readonly #config: AdaptiveConcurrencyConfig;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #samples = new LatencyHistogram();
  #limit: number;
  #outstanding = 0;
  /** The limit to return to; above 0 while the latency without load is measured. */
  #deferredLimit = 0;
  /** Whole microseconds. */
  #minRtt = 0;
  /** When the measurement began; requests from before are no part of it. */
  #epochMs = 0;
  #measureDueMs = NEVER;
  #updateDueMs: number;
  #atMinimum = 0;

  constructor(config: AdaptiveConcurrencyConfig, clock: Clock, random: Random) {
    this.#config = config;
    this.#clock = clock;
    this.#random = random;
    this.#limit = config.minConcurrency;
    const now = clock.now();
    this.#beginMeasuring(now);
    this.#updateDueMs = now + config.updateIntervalMs;
  }

  get limit(): number {
    this.#catchUp(this.#clock.now());
    return this.#limit;
  }

  get outstanding(): number {
    return this.#outstanding;
  }

  /** Takes a place for a request; false when there is none. */
  tryEnter(): boolean {
    this.#catchUp(this.#clock.now());
    if (this.#outstanding >= this.#limit) return false;
    this.#outstanding++;
    return true;
  }

  /** A request that came in then was answered completely. */
  leave(startMs: number): void {
    const now = this.#clock.now();
    this.#catchUp(now);
    this.#outstanding--;
    if (startMs < this.#epochMs) return;
    this.#samples.add(Math.floor((now - startMs) * 1000));
    if (this.#isMeasuring && this.#samples.count >= this.#config.minRttRequests) this.#endMeasuring(now);
  }

  /** A request ended without a complete answer: it says nothing about latency. */
  cancel(): void {
    this.#outstanding--;
  }

  get #isMeasuring(): boolean {
    return this.#deferredLimit > 0;
  }

  /** Does what was due until now, in order. */
  #catchUp(now: number): void {
    while (Math.min(this.#measureDueMs, this.#updateDueMs) <= now) {
      if (this.#measureDueMs <= this.#updateDueMs) {
        const dueMs = this.#measureDueMs;
        this.#measureDueMs = NEVER;
        this.#beginMeasuring(dueMs);
      } else if (this.#isMeasuring) {
        // It begins anew with the end of the measurement.
        this.#updateDueMs = NEVER;
      } else this.#update(now);
    }
  }

  #update(now: number): void {
    const { updateIntervalMs } = this.#config;
    const dueMs = this.#updateDueMs;
    if (this.#samples.count > 0) {
      this.#updateDueMs = dueMs + updateIntervalMs;
      this.#setLimit(this.#newLimit(this.#takeSamples()), dueMs);
      return;
    }
    // Windows without a sample change nothing.
    const untilMs = Math.min(now, this.#measureDueMs);
    this.#updateDueMs = dueMs + (Math.floor((untilMs - dueMs) / updateIntervalMs) + 1) * updateIntervalMs;
  }

  #beginMeasuring(now: number): void {
    if (this.#isMeasuring) return;
    this.#deferredLimit = this.#limit;
    this.#setLimit(this.#config.minConcurrency, now);
    this.#samples.clear();
    this.#epochMs = now;
  }

  #endMeasuring(now: number): void {
    const { minRttIntervalMs, jitterPercent, updateIntervalMs } = this.#config;
    this.#minRtt = this.#takeSamples();
    // Envoy sets the limit while the measurement still counts as running.
    this.#setLimit(this.#deferredLimit, now);
    this.#deferredLimit = 0;
    const range = Math.ceil((minRttIntervalMs * jitterPercent) / 100);
    const jitterMs = range === 0 ? 0 : remainderOf(this.#random(), range);
    this.#measureDueMs = now + minRttIntervalMs + jitterMs;
    this.#updateDueMs = now + updateIntervalMs;
  }

  #takeSamples(): number {
    const value = Math.floor(this.#samples.quantile(this.#config.percentile / 100));
    this.#samples.clear();
    return value;
  }

  /** Envoy: the gradient stays between a half and two, and the root of the limit is left for bursts. */
  #newLimit(rtt: number): number {
    const { bufferPercent, minConcurrency, maxLimit } = this.#config;
    const buffered = this.#minRtt + (this.#minRtt * bufferPercent) / 100;
    const gradient = Math.max(0.5, Math.min(2, buffered / Math.max(1, rtt)));
    const limit = this.#limit * gradient;
    return Math.max(minConcurrency, Math.min(maxLimit, Math.floor(limit + Math.sqrt(limit))));
  }

  /**
   * Envoy: a limit that is the lowest for the fifth time in a row may come from a measurement that was wrong, so it is
   * made again.
   */
  #setLimit(limit: number, now: number): void {
    const { minConcurrency } = this.#config;
    const staysAtMinimum = !this.#isMeasuring && this.#limit === minConcurrency && limit === minConcurrency;
    this.#limit = limit;
    this.#atMinimum = staysAtMinimum ? this.#atMinimum + 1 : 0;
    if (this.#atMinimum >= MAX_AT_MINIMUM) this.#measureDueMs = now;
  }
}
