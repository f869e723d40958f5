import type { FilterConfig } from '../model/filter-config.js';
import type { GlobalRateLimitConfig, GlobalRateLimitRouteConfig } from '../model/global-rate-limit.js';
import { ALWAYS } from '../model/percent.js';
import type { RateLimit } from '../model/rate-limit.js';
import { setDynamicMetadata } from '../service/dynamic-metadata.js';
import type { ResponseHead } from '../service/head-change.js';
import { changeHead } from '../service/response-head.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { draws } from './draws.js';
import type { FilterTools } from './filter.js';
import {
  compileRateLimits,
  type DescriptorSource,
  type RateLimitDescriptor,
} from './rate-limit-descriptors.js';
import { rateLimitHeaders } from './rate-limit-headers.js';
import { limitRefusals } from './rate-limit-refusal.js';
import {
  type AskRateLimit,
  type LimitAnswer,
  type LimitHeader,
  rateLimitClient,
} from './rate-limit-service.js';
import { selectRateLimits } from './route-rate-limits.js';

/** Namespace of what the service says as dynamic metadata. */
const NAMESPACE = 'envoy.filters.http.ratelimit';

/**
 * Global rate limit (Envoy `envoy.filters.http.ratelimit`): asks a service about each request that has descriptors,
 * and once more about those that count when the exchange is over. Of the overrides the most specific one counts alone.
 */
export function globalRateLimit(
  config: GlobalRateLimitConfig,
  layers: readonly FilterConfig[],
  tools: FilterTools,
): Filter | undefined {
  const route = layers.find((layer) => layer.kind === 'global-rate-limit-route');
  const limits = limitsOf(config, route, tools);
  const before = compileRateLimits(
    limits.filter(({ onStreamDone }) => !onStreamDone),
    tools,
  );
  const after = compileRateLimits(
    limits.filter(({ onStreamDone }) => onStreamDone),
    tools,
  );
  if (before === undefined && after === undefined) return undefined;
  const { enabled = ALWAYS } = config;
  const isAsked = requestTest(config);
  const ask = rateLimitClient(config, route?.domain || config.domain, tools);
  const atEnd: Filter = after === undefined ? passOn : countAtEnd(after, ask);
  const judge = before === undefined ? atEnd : judgement(config, { before, ask, atEnd }, tools);
  return (request, next) =>
    draws(enabled, tools.random) && isAsked(request) && hasTarget(tools)
      ? judge(request, next)
      : next(request);
}

const passOn: Filter = (request, next) => next(request);

/** Envoy: limits of the route's own configuration go before those of the filter, and these before those of routes. */
function limitsOf(
  config: GlobalRateLimitConfig,
  route: GlobalRateLimitRouteConfig | undefined,
  tools: FilterTools,
): readonly RateLimit[] {
  // Envoy: nobody is asked where nothing is forwarded (redirects, direct responses).
  if (tools.direction === 'outbound' && tools.clusterName === undefined) return [];
  return (
    route?.rateLimits ??
    config.rateLimits ??
    selectRateLimits(tools.rateLimits, config.stage, route?.virtualHostRateLimits ?? 'override')
  );
}

function requestTest({ requests }: GlobalRateLimitConfig): (request: Request) => boolean {
  if (requests === 'both') return () => true;
  const wanted = requests === 'internal';
  return ({ headers }) => (headers.peek('x-envoy-internal') === 'true') === wanted;
}

/** Envoy: nor is anybody asked when the cluster that the request goes to is not there. */
function hasTarget({ clusterName, direction, upstream }: FilterTools): boolean {
  return direction === 'inbound' || (clusterName !== undefined && upstream(clusterName) !== undefined);
}

/** What a request is judged by. */
interface Questions {
  readonly before: DescriptorSource;
  readonly ask: AskRateLimit;
  /** Counts once more when the exchange is over. */
  readonly atEnd: Filter;
}

/** Asks before the request goes on, and does what the answer says. */
function judgement(
  config: GlobalRateLimitConfig,
  { before, ask, atEnd }: Questions,
  tools: FilterTools,
): Filter {
  const { enforced = ALWAYS, failureModeDeny, failureModeDenyPercent } = config;
  const { random } = tools;
  const stats = statsOf(config, tools);
  const refuse = limitRefusals(config, tools);
  const denies = () =>
    failureModeDenyPercent === undefined ? failureModeDeny : draws(failureModeDenyPercent, random);
  const judge = async (request: Request, next: Service, descriptors: readonly RateLimitDescriptor[]) => {
    const answer = await ask(descriptors, request, true);
    // Nobody waits for an answer any more, so nobody gets one.
    if (request.abort.aborted) throw request.abort.reason;
    if (answer === undefined) {
      stats.error.value++;
      if (denies()) return atEnd(request, async (refused) => refuse.unanswered(refused));
      stats.allowed.value++;
      return atEnd(request, next);
    }
    takeMetadata(request, answer);
    const { isOver, body } = answer;
    if (isOver) stats.over.value++;
    else stats.ok.value++;
    const headers = responseHeaders(config, answer, descriptors);
    if (isOver && draws(enforced, random)) {
      return atEnd(request, async (refused) => refuse.overLimit(refused, body, headers));
    }
    addAll(request.headers, answer.requestHeaders);
    if (headers.length === 0) return atEnd(request, next);
    return atEnd(request, (one) => changeHead(one, next, (head) => addAll(head.headers, headers)));
  };
  return (request, next) => {
    const descriptors = before(request);
    return descriptors.length === 0 ? atEnd(request, next) : judge(request, next, descriptors);
  };
}

function takeMetadata({ context }: Request, { metadata }: LimitAnswer): void {
  if (metadata === undefined || Object.keys(metadata).length === 0) return;
  setDynamicMetadata(context, NAMESPACE, metadata);
}

/** Envoy: they are added to whatever answer there is, be it that of the upstream. */
function responseHeaders(
  config: GlobalRateLimitConfig,
  { responseHeaders: said, isOver, statuses }: LimitAnswer,
  descriptors: readonly RateLimitDescriptor[],
): readonly LimitHeader[] {
  const own: LimitHeader[] = [];
  const marks = isOver && config.rateLimitedHeader;
  if (marks) own.push(['x-envoy-ratelimited', 'true']);
  own.push(...rateLimitHeaders(statuses, descriptors, config.rateLimitHeaders));
  if (own.length === 0) return said;
  return [...(marks ? said.filter(([name]) => name !== 'x-envoy-ratelimited') : said), ...own];
}

function addAll(headers: ResponseHead['headers'], lines: readonly LimitHeader[]): void {
  for (const [name, value] of lines) headers.append(name, value);
}

/** Tells the service of the request when the exchange is over, however it ended. */
function countAtEnd(descriptorsOf: DescriptorSource, ask: AskRateLimit): Filter {
  const count = (request: Request, response?: Response) => {
    const descriptors = descriptorsOf(request, response);
    // What the service says is of no use any more; asking never rejects.
    if (descriptors.length > 0) void ask(descriptors, request, false);
  };
  return async (request, next) => {
    let response: Response;
    try {
      response = await next(request);
    } catch (error) {
      count(request);
      throw error;
    }
    response.completion.onEnd(() => count(request, response));
    return response;
  };
}

function statsOf({ statPrefix }: GlobalRateLimitConfig, { memory, clusterName }: FilterTools) {
  const scope = clusterName === undefined ? '' : `cluster.${clusterName}.`;
  const prefix = `${scope}ratelimit.${statPrefix === '' ? '' : `${statPrefix}.`}`;
  const counter = (name: string) => memory.counter(prefix + name);
  return {
    ok: counter('ok'),
    error: counter('error'),
    over: counter('over_limit'),
    allowed: counter('failure_mode_allowed'),
  };
}
