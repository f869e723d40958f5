import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { createBreaker } from '../../src/cluster/breaker.js';
import { rootPath } from '../../src/codec/path.js';
import { decodeRetryPolicy } from '../../src/codec/retry.js';
import { takeControls } from '../../src/routing/request-controls.js';
import { compileRetryPlan, type RetryRules } from '../../src/filters/retry-conditions.js';
import { parseResetWait, RetryState } from '../../src/filters/retry-state.js';
import { parseRetryGrpcOn, parseRetryOn } from '../../src/routing/retry-tokens.js';
import { DEFAULT_THRESHOLDS } from '../../src/model/cluster.js';
import { route } from '../../src/proto/xds.js';
import { createRetryBackoff, lowerBoundWait } from '../../src/runtime/backoff.js';
import { HeaderMap } from '../../src/service/headers.js';
import { localReply } from '../../src/service/local-reply.js';
import type { Response } from '../../src/service/service.js';
import { TransportError, type TransportFailure } from '../../src/service/transport-error.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { makeRequest, makeResponse } from '../unit/filters/support.js';
import { hasVectors, readCases, readText } from './envoy-config.js';

interface Step {
  readonly on: 'reset' | 'response_headers';
  readonly reason?: string;
  readonly headers?: Record<string, string>;
  readonly upstream_request_started?: boolean;
  readonly expect: string;
}

interface Scenario {
  readonly name: string;
  readonly line: number;
  readonly policy: JsonObject;
  readonly request_headers: Record<string, string>;
  readonly retry_enabled: boolean;
  readonly steps: readonly Step[];
  readonly circuit_breaker?: {
    readonly max_retries?: number;
    readonly retry_budget?: {
      readonly budget_percent?: number;
      readonly min_retry_concurrency?: number;
      readonly budget_interval_ms?: number;
    };
  };
  readonly cluster?: string;
}

/** Envoy's reset reasons in the terms of transports; an overflow never becomes a failure of a transport. */
const FAILURES: Record<string, TransportFailure | 'overflow'> = {
  REMOTE_RESET: 'reset',
  LOCAL_RESET: 'reset',
  CONNECTION_TERMINATION: 'reset',
  PROTOCOL_ERROR: 'protocol',
  LOCAL_CONNECTION_FAILURE: 'connect',
  REMOTE_CONNECTION_FAILURE: 'connect',
  CONNECTION_TIMEOUT: 'connect',
  REMOTE_REFUSED_STREAM_RESET: 'refused',
  OVERFLOW: 'overflow',
};

const DECISIONS: Record<string, string> = {
  YES: 'yes',
  NO: 'no',
  NO_OVERFLOW: 'overflow',
  NO_LIMIT_EXCEEDED: 'limit',
};

function rulesOf({ policy, request_headers: lines }: Scenario): {
  readonly rules: RetryRules | undefined;
  readonly state: (permits: ReturnType<typeof createBreaker>['retries']) => RetryState | undefined;
} {
  const model = decodeRetryPolicy(fromJson(route.RetryPolicySchema, policy), rootPath('retry'));
  const { ':method': method = 'GET', ...headers } = lines;
  const request = makeRequest({ method, header: headers });
  const controls = takeControls(request.headers);
  const rules = compileRetryPlan(model).rulesFor(request, controls.retry);
  return {
    rules,
    state: (permits) =>
      rules && new RetryState(model, rules, { clock: createFakeClock(), random: () => 0, permits }),
  };
}

function permitsOf({ circuit_breaker: breaker }: Scenario) {
  const budget = breaker?.retry_budget;
  const thresholds = {
    ...DEFAULT_THRESHOLDS,
    maxRetries: breaker?.max_retries ?? DEFAULT_THRESHOLDS.maxRetries,
    retryBudget: budget && {
      budgetPercent: budget.budget_percent ?? 20,
      minRetryConcurrency: budget.min_retry_concurrency ?? 3,
      intervalMs: budget.budget_interval_ms,
    },
  };
  return createBreaker(thresholds, { clock: createFakeClock(), multiplexes: false }).retries;
}

function outcomeOf(step: Step): Response | TransportError {
  if (step.on === 'response_headers') {
    const { ':status': status, ...headers } = step.headers ?? {};
    return makeResponse(Number(status), headers);
  }
  const failure = FAILURES[step.reason ?? ''];
  if (failure === undefined) throw new Error(`unknown reset reason ${String(step.reason)}`);
  if (failure === 'overflow') {
    const reply = { status: 503, body: '', details: '', reason: 'INMESH_OVERFLOW' };
    return localReply(makeRequest(), reply);
  }
  return new TransportError(failure, step.upstream_request_started ?? true, 'reset');
}

// HTTP/3 is no protocol of this mesh.
const SCENARIOS = readCases<Scenario>('vectors/retry.json', 'scenarios').filter(
  ({ cluster }) => cluster !== 'http3',
);

describe.runIf(hasVectors)('retries decide as Envoy does', () => {
  test.each(SCENARIOS.map((scenario, index) => [`${scenario.name} (${index})`, scenario] as const))(
    '%s',
    (_name, scenario) => {
      const { rules, state } = rulesOf(scenario);
      expect(rules !== undefined).toBe(scenario.retry_enabled);
      const machine = state(permitsOf(scenario));
      for (const step of scenario.steps) {
        expect(machine?.decide(outcomeOf(step))).toBe(DECISIONS[step.expect]);
      }
    },
  );

  test('what a response asks for as a wait', () => {
    const { cases, ...config } = parsed<ResetParse>('reset_header_parse');
    const backOff = {
      resetHeaders: config.reset_headers.map(({ name, format }) => ({
        name: name.toLowerCase(),
        format: format === 'SECONDS' ? ('seconds' as const) : ('unix-timestamp' as const),
      })),
      maxIntervalMs: config.max_interval_s * 1000,
    };
    for (const { response, interval_ms: expected } of cases) {
      const headers = HeaderMap.from(Object.entries(response));
      expect(parseResetWait(headers, backOff, config.now_unix * 1000) ?? null).toBe(expected);
    }
  });

  test('lists of conditions', () => {
    const { retry_on: http, retry_grpc_on: grpc } = parsed<RetryOnParse>('retry_on_parse');
    for (const [parse, cases] of [
      [parseRetryOn, http],
      [parseRetryGrpcOn, grpc],
    ] as const) {
      for (const { in: text, set, all_valid: allValid } of cases) {
        const { conditions, unknown } = parse(text);
        expect(new Set(conditions)).toEqual(new Set(set));
        expect(unknown.length === 0).toBe(allValid);
      }
    }
  });

  test('the headers that control retries never go upstream', () => {
    const { request_headers_always_removed: names } = parsed<HeaderRemoval>('header_removal');
    const headers = HeaderMap.from(names.map((name) => [name, '1'] as const));
    takeControls(headers);
    expect([...headers]).toEqual([]);
  });
});

interface ResetParse {
  readonly now_unix: number;
  readonly max_interval_s: number;
  readonly reset_headers: readonly { readonly name: string; readonly format: string }[];
  readonly cases: readonly {
    readonly response: Record<string, string>;
    readonly interval_ms: number | null;
  }[];
}
interface TokenCase {
  readonly in: string;
  readonly set: readonly string[];
  readonly all_valid: boolean;
}
interface RetryOnParse {
  readonly retry_on: readonly TokenCase[];
  readonly retry_grpc_on: readonly TokenCase[];
}
interface HeaderRemoval {
  readonly request_headers_always_removed: readonly string[];
}

function parsed<T>(key: string): T {
  return (JSON.parse(readText('vectors/retry.json')) as Record<string, T>)[key] as T;
}

interface BackoffCase {
  readonly kind: string;
  readonly base_ms?: number;
  readonly max_ms?: number;
  readonly min_ms?: number;
  readonly random?: number;
  readonly sequence?: readonly number[];
  readonly after_reset?: readonly number[];
  readonly line: number;
}

interface ValidationCase {
  readonly base_s?: number;
  readonly max_s?: number;
  readonly base_ms?: number;
  readonly max_ms?: number;
  readonly valid: boolean;
}

// A sequence of 64-bit numbers, and the fixed strategy that only other parts of Envoy use.
const BACKOFFS = readCases<BackoffCase>('vectors/backoff.json').filter(
  ({ kind, sequence }) => kind !== 'fixed' && sequence !== undefined,
);

describe.runIf(hasVectors)('waits between tries are those of Envoy', () => {
  test.each(BACKOFFS.map((one) => [`${one.kind} of line ${one.line}`, one] as const))('%s', (_name, one) => {
    const { base_ms: base = 0, max_ms: max = 0, min_ms: min = 0, random: number = 0 } = one;
    // A draw stands for a 32-bit number.
    const random = () => number / 2 ** 32;
    if (one.kind === 'jittered_lower_bound') {
      expect(one.sequence?.map(() => lowerBoundWait(min, random))).toEqual(one.sequence);
      return;
    }
    const backoff = createRetryBackoff(base, max, random);
    expect(one.sequence?.map(() => backoff.next())).toEqual(one.sequence);
    backoff.reset();
    expect(one.after_reset?.map(() => backoff.next())).toEqual(one.after_reset);
  });

  test.each(readCases<ValidationCase>('vectors/backoff.json', 'config_validation').map((one) => [one]))(
    'the configuration %j is taken or refused',
    ({ base_s, max_s, base_ms = (base_s ?? 0) * 1000, max_ms = (max_s ?? 0) * 1000, valid }) => {
      // The interval is required here, so what the third case leaves to a default is not to be had.
      if (base_ms === 0) return;
      const policy = fromJson(route.RetryPolicySchema, {
        retryBackOff: { baseInterval: `${base_ms / 1000}s`, maxInterval: `${max_ms / 1000}s` },
      });
      const decode = () => decodeRetryPolicy(policy, rootPath('retry'));
      if (valid) expect(decode).not.toThrow();
      else expect(decode).toThrow('max_interval');
    },
  );
});
