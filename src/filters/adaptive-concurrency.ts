import type { AdaptiveConcurrencyConfig } from '../model/overload.js';
import type { Clock } from '../runtime/clock.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import type { FilterFactory } from './filter.js';
import { GradientController } from './gradient-controller.js';

/**
 * Adaptive concurrency (Envoy `envoy.filters.http.adaptive_concurrency`): refuses requests above a limit that follows
 * their latency. All stacks of one configuration share the limit.
 */
export const adaptiveConcurrency: FilterFactory<AdaptiveConcurrencyConfig> = (config, tools) => {
  if (!config.enabled) return undefined;
  const { clock, random, memory } = tools;
  const controller = memory.of(config, () => new GradientController(config, clock, random));
  const blocked = memory.counter('adaptive_concurrency.gradient_controller.rq_blocked');
  return (request, next) => {
    if (controller.tryEnter()) return measured(request, next, controller, clock);
    blocked.value++;
    return Promise.resolve(refuse(request, config.refusedStatus));
  };
};

const refuse = (request: Request, status: number): Response =>
  localReply(request, {
    status,
    body: 'reached concurrency limit',
    details: 'reached_concurrency_limit',
    reason: 'INMESH_CONCURRENCY_LIMIT',
  });

/** Holds the place until the response is complete. */
function measured(
  request: Request,
  next: Service,
  controller: GradientController,
  clock: Clock,
): ReturnType<Filter> {
  const startMs = clock.now();
  return next(request).then(
    (response) => {
      response.completion.onEnd(({ error }) => {
        if (error === undefined) controller.leave(startMs);
        else controller.cancel();
      });
      return response;
    },
    (error: unknown) => {
      controller.cancel();
      throw error;
    },
  );
}
