import type { RetryPolicy } from '../model/retry.js';
import { discardBody, isReplayable } from '../service/body.js';
import { createReplay, type Replay } from '../service/replay.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';
import { runOwned } from './call-retry.js';
import { hedged, hedgesAtStart } from './hedge.js';
import { pause } from './pause.js';
import { settle } from './retry-answers.js';
import { compileRetryPlan, type RetryPlan, type RetryRules } from './retry-conditions.js';
import { type Outcome, RetryState } from './retry-state.js';
import type { RetryTools } from './retry-tools.js';

/** Envoy's `per_connection_buffer_limit_bytes` default. */
export const DEFAULT_REPLAY_LIMIT_BYTES = 1024 * 1024;

/**
 * Retries and hedging (Envoy's router): the next service is one attempt, which chooses a host afresh. A local reply is
 * never retried, nor anything after the response head went on to the caller.
 */
export function retry(policy: RetryPolicy, tools: RetryTools): Filter {
  const plan = compileRetryPlan(policy);
  const { hedge, limitsAttempts = false, isDefault = false } = tools;
  const yields = isDefault && hedge === undefined;
  const rulesOf = isDefault ? defaultRules(plan) : rulesOfPolicy(plan);
  const alwaysHedges = hedge !== undefined && hedgesAtStart(hedge);
  return (request, next) => {
    const { limits, retryWishes, callRetry } = request.context;
    const rules = rulesOf(request);
    if (callRetry !== undefined && yields && retryWishes === undefined) {
      return runOwned({ request, next, own: callRetry, safe: rules, tools });
    }
    if (alwaysHedges || (limits?.hedgeOnPerTry === true && rules !== undefined)) {
      return hedged({ request, next, policy, rules, tools });
    }
    if (rules === undefined || rules.numRetries <= 0) {
      return limits === undefined && !limitsAttempts ? next(request) : once(request, next);
    }
    return retried({ request, next, policy, rules, tools });
  };
}

type RulesOf = (request: Request) => RetryRules | undefined;

/** gRFC A44 with A6: an application of gRPC sees five attempts at most. */
const MOST_RETRIES_OF_CALLS = 4;

function rulesOfPolicy(plan: RetryPlan): RulesOf {
  let capped: { readonly of: RetryRules; readonly rules: RetryRules } | undefined;
  return (request) => {
    const { retryWishes, channelId } = request.context;
    const rules = plan.rulesFor(request, retryWishes);
    if (channelId === undefined || retryWishes !== undefined) return rules;
    if (rules === undefined || rules.numRetries <= MOST_RETRIES_OF_CALLS) return rules;
    if (capped?.of !== rules) capped = { of: rules, rules: { ...rules, numRetries: MOST_RETRIES_OF_CALLS } };
    return capped.rules;
  };
}

function defaultRules(plan: RetryPlan): RulesOf {
  // Nobody's policy is the same for all calls, so its rules are, too.
  let untilConnected: RetryRules | undefined;
  return (request) => {
    const { retryWishes, channelId } = request.context;
    const rules = plan.rulesFor(request, retryWishes);
    if (rules === undefined || channelId === undefined || retryWishes !== undefined) return rules;
    untilConnected ??= untilSomeHost(rules);
    return untilConnected;
  };
}

/** Hosts that a call of gRPC asks for a connection. */
const MAX_HOSTS = 10;

/**
 * gRPC: a call is given to a host that has a connection, so hosts without one cost it nothing but the asking, as long as
 * there is another (A42 says so even of rings).
 */
function untilSomeHost(rules: RetryRules): RetryRules {
  return {
    ...rules,
    free: { count: MAX_HOSTS - 1, fits: ({ failure, requestSent }) => failure === 'connect' && !requestSent },
  };
}

async function once(request: Request, next: Service): Promise<Response> {
  return settle(await attempt(request, undefined, next), request);
}

interface Retrying {
  readonly request: Request;
  readonly next: Service;
  readonly policy: RetryPolicy;
  readonly rules: RetryRules;
  readonly tools: RetryTools;
}

/** A first attempt that needs no other costs one callback. */
function retried(retrying: Retrying): Promise<Response> {
  const { request, next, rules, tools } = retrying;
  const replay = isReplayable(request.body) ? undefined : createReplay(request.body, tools.replayLimitBytes);
  const flagCount = request.context.flags.length;
  const finish = (outcome: Outcome) => {
    replay?.close();
    return settle(outcome, request);
  };
  const judge = (outcome: Outcome) =>
    wantsRetry(outcome, request, rules)
      ? tryAgain(retrying, outcome, replay, flagCount).then(finish)
      : finish(outcome);
  return next(replay === undefined ? request : { ...request, body: replay.body() }).then(
    judge,
    (error: unknown) => {
      if (TransportError.is(error)) return judge(error);
      throw error;
    },
  );
}

/** The slow path: attempts until one needs no other, or policy, budget or body allow none. */
async function tryAgain(
  { request, next, policy, rules, tools }: Retrying,
  first: Outcome,
  replay: Replay | undefined,
  flagCount: number,
): Promise<Outcome> {
  const { context } = request;
  const state = new RetryState(policy, rules, tools);
  let outcome = first;
  try {
    for (;;) {
      // Envoy `retry_or_shadow_abandoned`: what was not kept can't be sent again.
      if (replay !== undefined && !replay.canReplay) return outcome;
      const decision = request.abort.aborted ? 'no' : state.decide(outcome);
      if (decision === 'limit') context.flags.push('URX');
      if (decision === 'overflow') context.flags.push('UO');
      if (decision !== 'yes') return outcome;
      if (!(outcome instanceof TransportError)) discardBody(outcome.body);
      await pause(state.nextWaitMs(outcome), request, tools.clock);
      // Envoy: only the last attempt's failure shows in the response flags.
      context.flags.length = flagCount;
      context.followsTimeout = isTimeout(outcome);
      outcome = await attempt(request, replay, next);
    }
  } finally {
    state.close();
  }
}

async function attempt(request: Request, replay: Replay | undefined, next: Service): Promise<Outcome> {
  try {
    return await next(replay === undefined ? request : { ...request, body: replay.body() });
  } catch (error) {
    if (TransportError.is(error)) return error;
    throw error;
  }
}

function wantsRetry(outcome: Outcome, request: Request, rules: RetryRules): boolean {
  if (request.abort.aborted) return false;
  if (outcome instanceof TransportError) return rules.retriesFailure(outcome);
  return outcome.local === undefined && rules.retriesResponse(outcome);
}

/** Envoy: a retry counts as one of a timeout when a per-try limit ended the attempt before it. */
function isTimeout(outcome: Outcome): boolean {
  return (
    outcome instanceof TransportError &&
    (outcome.failure === 'per-try-timeout' || outcome.failure === 'per-try-idle-timeout')
  );
}
