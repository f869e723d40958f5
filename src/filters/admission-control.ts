import type { AdmissionControlConfig } from '../model/overload.js';
import { type Random, remainderOf } from '../runtime/random.js';
import type { HeaderMap } from '../service/headers.js';
import { isGrpcType, localReply } from '../service/local-reply.js';
import type { Response } from '../service/service.js';
import { AdmissionWindow } from './admission-window.js';
import type { FilterFactory } from './filter.js';

/** Envoy: the chance is taken to four digits. */
const ACCURACY = 10_000;

/**
 * Admission control (Envoy `envoy.filters.http.admission_control`): refuses a share of the requests that grows as their
 * success rate falls. All stacks of one configuration share the window.
 */
export const admissionControl: FilterFactory<AdmissionControlConfig> = (config, tools) => {
  if (!config.enabled) return undefined;
  const { clock, random, memory } = tools;
  const window = memory.of(config, () => new AdmissionWindow(config.windowMs, clock));
  const judge = new Judge(config);
  const rejected = memory.counter('admission_control.rq_rejected');
  const record = (success: boolean) => window.record(success);
  return async (request, next) => {
    if (window.averageRps() >= config.rpsThreshold && refuses(window, config, random)) {
      // What is refused is not counted: else the chance would not fall again once the upstream is well.
      rejected.value++;
      return localReply(request, {
        status: 503,
        body: '',
        details: 'denied_by_admission_control',
        reason: 'INMESH_ADMISSION_DENIED',
      });
    }
    const response = await next(request);
    judge.judge(response, record);
    return response;
  };
};

function refuses(window: AdmissionWindow, config: AdmissionControlConfig, random: Random): boolean {
  const chance = rejectionChance(window.counts(), config);
  // NaN, the root of a negative number, refuses nothing either.
  return ACCURACY * chance > remainderOf(random(), ACCURACY);
}

/** `max(0, (requests - successes / threshold) / (requests + 1)) ^ (1 / aggression)`, capped (Envoy). */
export function rejectionChance(
  { requests, successes }: { readonly requests: number; readonly successes: number },
  { aggression, successThresholdPercent, maxRejectionPercent }: AdmissionControlConfig,
): number {
  const base = (requests - successes / (successThresholdPercent / 100)) / (requests + 1);
  if (base <= 0) return 0;
  const exponent = Math.max(1, aggression);
  const chance = exponent === 1 ? base : base ** (1 / exponent);
  return Math.min(chance, maxRejectionPercent / 100);
}

/** Tells successes from failures. */
class Judge {
  readonly #config: AdmissionControlConfig;
  readonly #grpcSuccess: ReadonlySet<string>;

  constructor(config: AdmissionControlConfig) {
    this.#config = config;
    this.#grpcSuccess = new Set(config.grpcSuccess.map(String));
  }

  /** Says it with the head, or for gRPC with the trailers; a stream that is reset is not counted (Envoy). */
  judge({ status, headers, completion }: Response, record: (success: boolean) => void): void {
    if (!isGrpcType(headers.get('content-type'))) {
      record(this.#config.httpSuccess.some(({ start, end }) => status >= start && status < end));
      return;
    }
    const inHead = headers.get('grpc-status');
    if (inHead !== undefined) record(this.#isGrpcSuccess(inHead));
    else {
      completion.onEnd(({ trailers, error }) => {
        if (error === undefined) record(this.#isGrpcSuccess(statusOf(trailers)));
      });
    }
  }

  #isGrpcSuccess(status: string | undefined): boolean {
    return status !== undefined && this.#grpcSuccess.has(status);
  }
}

function statusOf(trailers: HeaderMap | undefined): string | undefined {
  return trailers?.get('grpc-status');
}
