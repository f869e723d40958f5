import type { LocalRateLimitConfig } from '../model/local-rate-limit.js';
import { compileMutations, type HeaderChange } from '../routing/header-mutation.js';
import type { ConnectionInfo } from '../service/connection.js';
import { formatToolsOf, inputOf } from '../service/format/tools.js';
import { localReply } from '../service/local-reply.js';
import { changeHead } from '../service/response-head.js';
import type { Filter, Request, Response } from '../service/service.js';
import { draws } from './draws.js';
import type { FilterFactory, FilterTools } from './filter.js';
import { type LocalDecision, LocalLimiter } from './local-limiter.js';
import { compileRateLimits, type DescriptorSource } from './rate-limit-descriptors.js';
import { selectRateLimits } from './route-rate-limits.js';

/**
 * Local rate limit (Envoy `envoy.filters.http.local_ratelimit`): token buckets of this process. All stacks with the same
 * configuration share its buckets; a route's own configuration has buckets of its own. It does nothing until both
 * fractions, enabled and enforced, are set.
 */
export const localRateLimit: FilterFactory<LocalRateLimitConfig> = (config, tools) => {
  const { enabled, enforced } = config;
  if (enabled === undefined || enabled.numerator === 0) return undefined;
  const limiterOf = limiters(config, tools);
  const descriptorsOf = descriptorSource(config, tools) ?? NO_DESCRIPTORS;
  const stats = statsOf(config, tools);
  const onRefusal = refusal(config, tools);
  return (request, next) => {
    if (!draws(enabled, tools.random)) return next(request);
    stats.enabled.value++;
    const decision = limiterOf(request.context.connection).decide(descriptorsOf(request));
    const pass: Filter = showsLimit(decision, config) ? withLimit(decision) : passOn;
    if (decision.allowed) {
      stats.ok.value++;
      return pass(request, next);
    }
    stats.limited.value++;
    if (decision.bucket?.isShadow === true) {
      stats.shadow.value++;
      return pass(request, next);
    }
    if (enforced === undefined || !draws(enforced, tools.random)) {
      onRefusal.request?.(request.headers, inputOf(request));
      return pass(request, next);
    }
    stats.enforced.value++;
    return pass(request, async (refused) => refuse(refused, config, onRefusal.response));
  };
};

const NO_DESCRIPTORS: DescriptorSource = () => [];
const passOn: Filter = (request, next) => next(request);

/** Envoy: the request is counted by descriptors only when there are some to match. */
function descriptorSource(config: LocalRateLimitConfig, tools: FilterTools): DescriptorSource | undefined {
  if (config.descriptors.length === 0) return undefined;
  // Limits that count at the end of an exchange are the global filter's; a disable key passes a limit over.
  const limits =
    config.rateLimits?.filter(({ onStreamDone }) => !onStreamDone) ??
    selectRateLimits(tools.rateLimits, config.stage, config.virtualHostRateLimits).filter(
      ({ disableKey }) => disableKey === '',
    );
  return compileRateLimits(limits, tools);
}

type Limiters = (connection: ConnectionInfo | undefined) => LocalLimiter;

/** The limiter of all requests, or of those of one connection. Calls of this process itself count as one connection. */
function limiters(config: LocalRateLimitConfig, { clock, memory, localMembers }: FilterTools): Limiters {
  // Envoy: as long as nobody is known, this process is alone.
  const members =
    config.localClusterShare === true && localMembers !== undefined
      ? () => Math.max(1, localMembers())
      : undefined;
  const shared = memory.of(config, () => ({
    common: new LocalLimiter(config, clock, members),
    byConnection: new WeakMap<ConnectionInfo, LocalLimiter>(),
  }));
  if (!config.perConnection) return () => shared.common;
  return (connection) => {
    if (connection === undefined) return shared.common;
    let limiter = shared.byConnection.get(connection);
    if (limiter === undefined) {
      limiter = new LocalLimiter(config, clock);
      shared.byConnection.set(connection, limiter);
    }
    return limiter;
  };
}

interface OnRefusal {
  /** For requests that go on all the same. */
  readonly request: HeaderChange | undefined;
  readonly response: HeaderChange | undefined;
}

function refusal(config: LocalRateLimitConfig, { clock }: FilterTools): OnRefusal {
  const tools = formatToolsOf(clock);
  return {
    request: compileMutations([{ remove: [], add: config.requestHeadersWhenNotEnforced }], tools),
    response: compileMutations([{ remove: [], add: config.responseHeaders }], tools),
  };
}

function refuse(request: Request, config: LocalRateLimitConfig, change: HeaderChange | undefined): Response {
  const response = localReply(request, {
    status: config.status,
    body: 'local_rate_limited',
    details: 'local_rate_limited',
    reason: 'INMESH_RATE_LIMITED',
    flag: 'RL',
    ...(config.resourceExhausted && { grpcStatus: RESOURCE_EXHAUSTED }),
  });
  change?.(response.headers, inputOf(request, response));
  return response;
}

const RESOURCE_EXHAUSTED = 8;

function showsLimit({ bucket, rateLimitHeaders }: LocalDecision, config: LocalRateLimitConfig): boolean {
  return bucket !== undefined && (rateLimitHeaders ?? config.rateLimitHeaders);
}

/** Tells the caller of the bucket, by what is in it when the response leaves. */
function withLimit({ bucket }: LocalDecision): Filter {
  return (request, next) =>
    changeHead(request, next, ({ headers }) => {
      if (bucket === undefined) return;
      headers.append('x-ratelimit-limit', String(bucket.maxTokens));
      headers.append('x-ratelimit-remaining', String(bucket.remainingTokens));
      headers.append('x-ratelimit-reset', String(bucket.resetSeconds));
    });
}

function statsOf({ statPrefix }: LocalRateLimitConfig, { memory }: FilterTools) {
  const counter = (name: string) => memory.counter(`${statPrefix}.http_local_rate_limit.${name}`);
  return {
    enabled: counter('enabled'),
    ok: counter('ok'),
    limited: counter('rate_limited'),
    enforced: counter('enforced'),
    shadow: counter('shadow_mode'),
  };
}
