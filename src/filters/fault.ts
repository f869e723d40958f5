import type { FaultConfig } from '../model/filter-config.js';
import { isSampled } from '../model/percent.js';
import type { Clock } from '../runtime/clock.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response } from '../service/service.js';
import type { FilterFactory, FilterTools } from './filter.js';

/**
 * Fault injection (Envoy `envoy.filters.http.fault`): a delay first, then an abort, each drawn on its own.
 * Detail `fault_filter_abort`, flags DI and FI; `max_active_faults` counts exchanges with any fault.
 */
export const fault: FilterFactory<FaultConfig> = (config, tools) => {
  if (config.delay === undefined && config.abort === undefined) return undefined;
  if (config.upstreamCluster !== '' && config.upstreamCluster !== tools.clusterName) return undefined;
  return config.maxActiveFaults === undefined
    ? unlimited(config, tools)
    : limited(config, tools, config.maxActiveFaults);
};

function unlimited(config: FaultConfig, tools: FilterTools): Filter {
  const applies = tools.headerPredicate(config.headers);
  return async (request, next) => {
    if (!applies(request)) return next(request);
    if (drawsDelay(config, tools)) await delay(request, config.delay?.fixedMs ?? 0, tools.clock);
    return drawsAbort(config, tools) ? abort(request, config) : next(request);
  };
}

function limited(config: FaultConfig, tools: FilterTools, maxActive: number): Filter {
  const applies = tools.headerPredicate(config.headers);
  let active = 0;
  return async (request, next) => {
    if (!applies(request)) return next(request);
    const delays = drawsDelay(config, tools);
    const overflows = active >= maxActive;
    if (delays && !overflows) {
      active++;
      try {
        await delay(request, config.delay?.fixedMs ?? 0, tools.clock);
      } finally {
        active--;
      }
    }
    if (drawsAbort(config, tools) && active < maxActive) return abort(request, config);
    return next(request);
  };
}

function drawsDelay(config: FaultConfig, tools: FilterTools): boolean {
  return config.delay !== undefined && isSampled(config.delay.percentage, tools.random());
}

function drawsAbort(config: FaultConfig, tools: FilterTools): boolean {
  return config.abort !== undefined && isSampled(config.abort.percentage, tools.random());
}

function delay(request: Request, delayMs: number, clock: Clock): Promise<void> {
  request.context.flags.push('DI');
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

function abort(request: Request, config: FaultConfig): Response {
  const status = config.abort?.status ?? { kind: 'http' as const, code: 503 };
  const reply = {
    body: 'fault filter abort',
    details: 'fault_filter_abort',
    reason: 'INMESH_FAULT_INJECTED',
    flag: 'FI' as const,
  };
  if (status.kind === 'http') return localReply(request, { ...reply, status: status.code });
  // Envoy: a gRPC abort is HTTP 200 with that grpc-status, whatever the caller's content type is.
  const response = localReply(request, { ...reply, status: 200, grpcStatus: status.code });
  response.headers.set('grpc-status', String(status.code));
  return response;
}
