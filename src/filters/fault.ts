import type { FaultConfig } from '../model/filter-config.js';
import { type FractionalPercent, isSampled } from '../model/percent.js';
import type { Clock } from '../runtime/clock.js';
import { localReply } from '../service/local-reply.js';
import { changeResponse } from '../service/response-head.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { transformBody } from '../service/transform-body.js';
import {
  type AbortStatus,
  abortOf,
  abortShare,
  delayOf,
  delayShare,
  rateOf,
  rateShare,
} from './fault-settings.js';
import type { FilterTools } from './filter.js';
import type { FilterCounter } from './filter-memory.js';
import { slowBody } from './slow-body.js';

/**
 * Fault injection (Envoy `envoy.filters.http.fault`): the response is slowed down, the request delayed, then aborted,
 * each drawn on its own. Detail `fault_filter_abort`, flags DI and FI. An exchange with any fault counts once against
 * `max_active_faults`, until it is over. The count is the filter's (`base`), also where a route configures the faults.
 */
export function fault(config: FaultConfig, base: object, tools: FilterTools): Filter | undefined {
  const { delay, abort, responseRate, upstreamCluster, downstreamNodes = [] } = config;
  if (delay === undefined && abort === undefined && responseRate === undefined) return undefined;
  if (upstreamCluster !== '' && upstreamCluster !== tools.clusterName) return undefined;
  const matches = tools.headerPredicate(config.headers);
  const nodes = new Set(downstreamNodes);
  const stats = statsOf(base, tools);
  return (request, next) => {
    if (nodes.size > 0 && !nodes.has(request.headers.get('x-envoy-downstream-service-node') ?? '')) {
      return next(request);
    }
    if (!matches(request)) return next(request);
    return inject(request, next, new FaultyExchange(config, tools, stats));
  };
}

async function inject(
  request: Request,
  next: (request: Request) => Promise<Response>,
  faulty: FaultyExchange,
): Promise<Response> {
  try {
    const kbps = faulty.drawRate(request);
    const delayMs = faulty.drawDelay(request);
    if (delayMs > 0) await faulty.delay(request, delayMs);
    const status = faulty.drawAbort(request);
    if (status !== undefined) return faulty.finish(abortWith(request, status));
    if (kbps === undefined) return faulty.finish(await next(request));
    return faulty.finish(await faulty.slowDown(request, next, kbps));
  } catch (error) {
    faulty.over();
    throw error;
  }
}

interface FaultStats {
  readonly delays: FilterCounter;
  readonly aborts: FilterCounter;
  readonly rates: FilterCounter;
  readonly overflow: FilterCounter;
  /** Shown over all filters. */
  readonly gauge: FilterCounter;
  /** Of this filter: what `max_active_faults` is compared with. */
  readonly active: { count: number };
}

function statsOf(base: object, { memory }: FilterTools): FaultStats {
  return {
    delays: memory.counter('fault.delays_injected'),
    aborts: memory.counter('fault.aborts_injected'),
    rates: memory.counter('fault.response_rl_injected'),
    overflow: memory.counter('fault.faults_overflow'),
    gauge: memory.counter('fault.active_faults'),
    active: memory.of(base, () => ({ count: 0 })),
  };
}

/** The faults of one exchange. */
class FaultyExchange {
  readonly #config: FaultConfig;
  readonly #tools: FilterTools;
  readonly #stats: FaultStats;
  #isActive = false;
  /** Whether a body is on its slow way; the exchange is not over before that is through. */
  #isSlow = false;

  constructor(config: FaultConfig, tools: FilterTools, stats: FaultStats) {
    this.#config = config;
    this.#tools = tools;
    this.#stats = stats;
  }

  /** KiB a second of the response; undefined for as fast as it comes. */
  drawRate({ headers }: Request): number | undefined {
    const { responseRate } = this.#config;
    const kbps = responseRate && rateOf(responseRate, headers);
    if (responseRate === undefined || kbps === undefined) return undefined;
    if (!this.#draws(rateShare(responseRate, headers)) || !this.#begin()) return undefined;
    this.#stats.rates.value++;
    return kbps;
  }

  slowDown(request: Request, next: Service, kbps: number): Promise<Response> {
    const { clock } = this.#tools;
    const onEnd = () => {
      this.#isSlow = false;
      this.over();
    };
    const slow = slowBody(kbps * 1024, { clock, abort: request.abort }, onEnd);
    return changeResponse(request, next, () => (body) => {
      this.#isSlow = true;
      return transformBody(body, slow);
    });
  }

  /** Milliseconds; 0 for none. */
  drawDelay({ headers }: Request): number {
    const { delay } = this.#config;
    if (delay === undefined || !this.#draws(delayShare(delay, headers))) return 0;
    const delayMs = delayOf(delay, headers) ?? 0;
    return delayMs > 0 && this.#begin() ? delayMs : 0;
  }

  delay(request: Request, delayMs: number): Promise<void> {
    this.#stats.delays.value++;
    request.context.flags.push('DI');
    return wait(request, delayMs, this.#tools.clock);
  }

  drawAbort({ headers }: Request): AbortStatus | undefined {
    const { abort } = this.#config;
    if (abort === undefined || !this.#draws(abortShare(abort, headers))) return undefined;
    const status = abortOf(abort, headers);
    if (status === undefined || !this.#begin()) return undefined;
    this.#stats.aborts.value++;
    return status;
  }

  /** The response as the caller gets it; the exchange counts until that is through. */
  finish(response: Response): Response {
    if (this.#isActive) {
      response.completion.onEnd(({ error }) => {
        if (!this.#isSlow || error !== undefined) this.over();
      });
    }
    return response;
  }

  over(): void {
    if (!this.#isActive) return;
    this.#isActive = false;
    this.#stats.active.count--;
    this.#stats.gauge.value--;
  }

  #draws(percentage: FractionalPercent): boolean {
    return isSampled(percentage, this.#tools.random());
  }

  /** Envoy: one exchange counts once, so its second fault is never too many. */
  #begin(): boolean {
    if (this.#isActive) return true;
    const { active, gauge, overflow } = this.#stats;
    const { maxActiveFaults } = this.#config;
    if (maxActiveFaults !== undefined && active.count >= maxActiveFaults) {
      overflow.value++;
      return false;
    }
    this.#isActive = true;
    active.count++;
    gauge.value++;
    return true;
  }
}

function wait(request: Request, delayMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(
      delayMs,
      () => {
        unlink();
        resolve();
      },
      true,
    );
    const unlink = request.abort.onAbort((reason) => {
      timer.cancel();
      reject(reason);
    });
  });
}

function abortWith(request: Request, { kind, code }: AbortStatus): Response {
  const reply = {
    body: 'fault filter abort',
    details: 'fault_filter_abort',
    reason: 'INMESH_FAULT_INJECTED',
    flag: 'FI' as const,
  };
  if (kind === 'http') return localReply(request, { ...reply, status: code });
  // Envoy: a gRPC abort is HTTP 200 with that grpc-status, whatever the caller's content type is.
  const response = localReply(request, { ...reply, status: 200, grpcStatus: code });
  response.headers.set('grpc-status', String(code));
  return response;
}
