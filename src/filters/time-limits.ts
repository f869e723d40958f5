import type { RouterConfig } from '../model/filter-config.js';
import type { HedgePolicy, RetryPolicy } from '../model/retry.js';
import type { RouteAction } from '../model/route.js';
import { mayHaveControls, type RequestControls, takeControls } from '../routing/request-controls.js';
import type { Clock } from '../runtime/clock.js';
import { Completion } from '../service/completion.js';
import { formatGrpcTimeout, grpcTimeoutOf } from '../service/grpc-timeout.js';
import { currentInbound } from '../service/inbound-scope.js';
import { isGrpc } from '../service/local-reply.js';
import type { Filter, Request, Service } from '../service/service.js';
import { NO_LIMITS, type TimeLimits } from '../service/time-limits.js';
import { findInvalidHeader, refuseHeader } from './strict-headers.js';
import { runWithin, timedOut } from './timeout.js';

/** Where the time limits of a route's requests come from. */
export interface TimeLimitSources {
  readonly action: RouteAction;
  readonly policy: RetryPolicy;
  readonly hedge: HedgePolicy | undefined;
  readonly router: RouterConfig;
}

export interface TimeLimitTools {
  readonly clock: Clock;
  /** Keeps the limits on peers; by default `clock`. */
  readonly timeouts?: Clock | undefined;
}

/**
 * The router's time limits (Envoy `FilterUtility::finalTimeout`): those of the route, of the caller's headers, and of the
 * inbound request that is being worked for. They are noted on the exchange for the attempts below; the one over all
 * attempts is kept here.
 */
export function timeLimits(sources: TimeLimitSources, tools: TimeLimitTools): Filter {
  const forRequests = compile(sources);
  const { action } = sources;
  const forCalls =
    action.timeoutIsDefault === true
      ? compile({ ...sources, action: { ...action, timeoutMs: 0 } })
      : forRequests;
  const timeouts = tools.timeouts ?? tools.clock;
  return (request, next) => {
    const { context, headers } = request;
    // gRFC A31: a call has no timeout that nobody asked for.
    const rules = context.channelId === undefined ? forRequests : forCalls;
    let controls: RequestControls | undefined;
    // A request that was redirected here may have those of its last route.
    context.limits = undefined;
    context.retryWishes = undefined;
    if (mayHaveControls(headers)) {
      const invalid = rules.strict && findInvalidHeader(headers, rules.strict);
      if (invalid !== undefined) return Promise.resolve(refuseHeader(request, invalid));
      controls = takeControls(headers);
      context.retryWishes = controls.retry;
    }
    const inherited = currentInbound()?.context.deadlineMs;
    const isPlain = controls === undefined && inherited === undefined && !rules.asksGrpc;
    const limits = isPlain ? rules.base : limitsFor(request, rules, controls, inherited, tools.clock);
    // Envoy: time runs from the end of the request, and one that switches its protocol has none.
    if (limits === NO_LIMITS || context.upgrade !== undefined) return next(request);
    if (limits.globalMs < 0) return Promise.resolve(timedOut(request, limits.timeoutStatus));
    return keep(limits, request, next, tools.clock, timeouts);
  };
}

function keep(limits: TimeLimits, request: Request, next: Service, clock: Clock, timeouts: Clock) {
  const { context, body } = request;
  context.limits = limits;
  // A request in memory is complete when it comes.
  if (body.kind === 'empty' || body.kind === 'bytes') context.completeMs = clock.now();
  else {
    context.requestStarted ??= new Completion();
    context.requestSent ??= new Completion();
    context.requestSent.onEnd(() => {
      context.completeMs ??= clock.now();
    });
  }
  if (limits.globalMs <= 0) return next(request);
  return runWithin(request, { timeoutMs: limits.globalMs, status: limits.timeoutStatus }, next, timeouts);
}

interface Rules extends TimeLimitSources {
  readonly base: TimeLimits;
  /** Whether the limits of gRPC calls depend on their `grpc-timeout`. */
  readonly asksGrpc: boolean;
  readonly strict: RouterConfig['strictCheckHeaders'];
}

function compile(sources: TimeLimitSources): Rules {
  const { action, policy, hedge, router } = sources;
  const usesStreamDuration =
    action.maxStreamDurationMs !== undefined || action.grpcTimeoutHeader !== undefined;
  const base = settle({
    ...NO_LIMITS,
    // Envoy: `max_stream_duration` takes the place of the timeout.
    globalMs: usesStreamDuration ? 0 : action.timeoutMs,
    perTryMs: policy.perTryTimeoutMs ?? 0,
    perTryIdleMs: policy.perTryIdleTimeoutMs ?? 0,
    hedgeOnPerTry: hedge?.onPerTryTimeout ?? false,
    tellsUpstream: tellsUpstream(router),
  });
  const asksGrpc = !usesStreamDuration && action.maxGrpcTimeoutMs !== undefined;
  return { ...sources, base, asksGrpc, strict: router.strictCheckHeaders };
}

function tellsUpstream({ suppressEnvoyHeaders }: RouterConfig): boolean {
  return suppressEnvoyHeaders !== true;
}

/** Envoy: a per-try timeout that is not below the timeout of the route is ignored, silently. */
function settle(limits: TimeLimits): TimeLimits {
  const { globalMs, perTryMs, perTryIdleMs, attemptMs, hedgeOnPerTry, timeoutStatus } = limits;
  const perTry = globalMs > 0 && perTryMs >= globalMs ? 0 : perTryMs;
  const isNone =
    globalMs === 0 && perTry === 0 && perTryIdleMs === 0 && attemptMs === undefined && !hedgeOnPerTry;
  if (isNone && timeoutStatus === NO_LIMITS.timeoutStatus) return NO_LIMITS;
  return { ...limits, perTryMs: perTry };
}

/** The limits of one request; a `globalMs` below 0 says that its time is over already. */
function limitsFor(
  request: Request,
  rules: Rules,
  controls: RequestControls | undefined,
  inheritedDeadlineMs: number | undefined,
  clock: Clock,
): TimeLimits {
  const { base, action, asksGrpc, router, policy } = rules;
  const isGrpcCall = (asksGrpc || inheritedDeadlineMs !== undefined) && isGrpc(request);
  const usesGrpc = asksGrpc && isGrpcCall;
  let globalMs = usesGrpc ? grpcLimit(request, action) : base.globalMs;
  const expectedMs = router.respectExpectedTimeout === true ? controls?.expectedMs : undefined;
  globalMs = expectedMs ?? controls?.timeoutMs ?? globalMs;
  const limits = settle({
    ...base,
    globalMs,
    perTryMs: controls?.perTryMs ?? policy.perTryTimeoutMs ?? 0,
    attemptMs: controls?.attemptMs,
    hedgeOnPerTry: controls?.hedgeOnPerTry ?? base.hedgeOnPerTry,
    // A route without limits has no word on that.
    tellsUpstream: tellsUpstream(router),
    tellsGrpc: usesGrpc,
    timeoutStatus: controls?.altResponse === true ? 204 : base.timeoutStatus,
  });
  if (inheritedDeadlineMs === undefined) return limits;
  const own = limits === NO_LIMITS ? { ...limits, tellsUpstream: tellsUpstream(router) } : limits;
  return within(own, Math.floor(inheritedDeadlineMs - clock.now()), isGrpcCall);
}

/** Envoy, deprecated `max_grpc_timeout`: no timeout of the caller counts as none at all, which the maximum then caps. */
function grpcLimit(request: Request, action: RouteAction): number {
  const { maxGrpcTimeoutMs: maxMs = 0, grpcTimeoutOffsetMs: offsetMs } = action;
  let limitMs = grpcTimeoutOf(request.headers) ?? 0;
  if (offsetMs !== undefined && offsetMs < limitMs) limitMs -= offsetMs;
  return maxMs !== 0 && (limitMs === 0 || limitMs > maxMs) ? maxMs : limitMs;
}

/** What is left of the inbound request's time bounds the outbound one. */
function within(limits: TimeLimits, leftMs: number, isGrpcCall: boolean): TimeLimits {
  if (leftMs <= 0) return { ...limits, globalMs: -1 };
  if (limits.globalMs > 0 && limits.globalMs <= leftMs) return limits;
  const perTryMs = limits.perTryMs >= leftMs ? 0 : limits.perTryMs;
  return { ...limits, globalMs: leftMs, perTryMs, tellsGrpc: limits.tellsGrpc || isGrpcCall };
}

const EXPECTED_TIMEOUT = 'x-envoy-expected-rq-timeout-ms';

/** Tells the upstream how much time its attempt has (Envoy `FilterUtility::setTimeoutHeaders`). */
export function tellTimeout(request: Request, limits: TimeLimits, nowMs: number): void {
  if (!limits.tellsUpstream && !limits.tellsGrpc) return;
  const { globalMs, perTryMs, hedgeOnPerTry } = limits;
  let expectedMs = hedgeOnPerTry || perTryMs === 0 ? globalMs : perTryMs;
  if (expectedMs <= 0) return;
  if (globalMs > 0) {
    const elapsedMs = nowMs - (request.context.completeMs ?? nowMs);
    // Envoy: 0 would mean no limit at all; the timer is about to end it anyway.
    expectedMs = Math.max(1, Math.min(expectedMs, Math.floor(globalMs - elapsedMs)));
  }
  const whole = Math.max(1, Math.floor(expectedMs));
  if (limits.tellsUpstream) {
    const { headers } = request;
    headers.delete(EXPECTED_TIMEOUT);
    headers.appendKnown(EXPECTED_TIMEOUT, String(whole));
  }
  if (limits.tellsGrpc) request.headers.set('grpc-timeout', formatGrpcTimeout(whole));
}
