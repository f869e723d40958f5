import { describe, expect, test } from 'vitest';
import { retry } from '../../../src/filters/retry.js';
import type { RetryPermits } from '../../../src/filters/retry-state.js';
import { RETRY_CONDITIONS, type RetryCondition, type RetryPolicy } from '../../../src/model/retry.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { bytesBody, iterateBody, type NativeBody, readBody } from '../../../src/service/body.js';
import { localReply } from '../../../src/service/local-reply.js';
import type { Response } from '../../../src/service/service.js';
import { TransportError, type TransportFailure } from '../../../src/service/transport-error.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, makeResponse } from './support.js';

type Outcome = number | Response | TransportError;

function policy(retryOn: readonly RetryCondition[], change: Partial<RetryPolicy> = {}): RetryPolicy {
  return {
    retryOn,
    numRetries: 2,
    perTryTimeoutMs: undefined,
    retriableStatusCodes: [],
    baseIntervalMs: 25,
    maxIntervalMs: 250,
    avoidPreviousHosts: true,
    hostSelectionAttempts: 1,
    ...change,
  };
}

const failure = (kind: TransportFailure, sent = true) => new TransportError(kind, sent, new Error(kind));

class Permits implements RetryPermits {
  held = 0;
  most = 0;
  readonly #limit: number;

  constructor(limit = 100) {
    this.#limit = limit;
  }

  tryAcquire(): boolean {
    if (this.held >= this.#limit) return false;
    this.held++;
    this.most = Math.max(this.most, this.held);
    return true;
  }

  release(): void {
    this.held--;
  }
}

/** Runs a request against scripted outcomes; time passes by itself. */
async function run(
  rules: RetryPolicy,
  outcomes: readonly Outcome[],
  request = makeRequest(),
  permits = new Permits(),
) {
  const clock = createFakeClock();
  const bodies: string[] = [];
  const filter = retry(rules, { clock, random: seededRandom(7), permits, replayLimitBytes: 100 });
  const running = filter(request, async (attempt) => {
    const outcome = outcomes[bodies.length] ?? 200;
    bodies.push((await readBody(attempt.body)).toString());
    if (typeof outcome === 'number') return makeResponse(outcome);
    if (outcome instanceof TransportError) throw outcome;
    return outcome;
  });
  const settled = running.then(
    (response) => ({ status: response.status, error: undefined }),
    (error: unknown) => ({ status: undefined, error }),
  );
  await clock.advance(10_000);
  return { ...(await settled), attempts: bodies.length, bodies, permits };
}

describe('retry', () => {
  test('a success is one attempt', async () => {
    expect(await run(policy(['5xx']), [200])).toMatchObject({ status: 200, attempts: 1 });
  });

  test('a failing status is tried again until it succeeds', async () => {
    expect(await run(policy(['5xx']), [503, 500, 200])).toMatchObject({ status: 200, attempts: 3 });
  });

  test('when the retries are used up the last answer goes to the caller, with flag URX', async () => {
    const request = makeRequest();
    expect(await run(policy(['5xx']), [503, 503, 500], request)).toMatchObject({ status: 500, attempts: 3 });
    expect(request.context.flags).toEqual(['URX']);
  });

  test('a refused permit ends it with flag UO', async () => {
    const request = makeRequest();
    expect(await run(policy(['5xx']), [503], request, new Permits(0))).toMatchObject({
      status: 503,
      attempts: 1,
    });
    expect(request.context.flags).toEqual(['UO']);
  });

  test('each retry holds one permit and gives it back', async () => {
    const { permits } = await run(policy(['5xx']), [503, 503, 503]);
    expect([permits.most, permits.held]).toEqual([1, 0]);
  });

  test('a local reply is never retried', async () => {
    const request = makeRequest();
    const reply = localReply(request, { status: 503, body: '', details: 'x', reason: 'INMESH_OVERFLOW' });
    expect(await run(policy(['5xx']), [reply], request)).toMatchObject({ status: 503, attempts: 1 });
  });

  test('a connection failure that stays rejects with the transport’s error', async () => {
    const refused = failure('connect', false);
    const result = await run(policy(['connect-failure']), [refused, refused, refused]);
    expect(result).toMatchObject({ attempts: 3, error: refused });
  });

  test('a per-try timeout that stays answers 504 with flag UT', async () => {
    const request = makeRequest();
    const late = failure('per-try-timeout');
    expect(await run(policy(['5xx']), [late, late, late], request)).toMatchObject({
      status: 504,
      attempts: 3,
    });
    expect(request.context.flags).toContain('UT');
    expect(request.context.details).toBe('upstream_per_try_timeout');
  });

  test('an answer with x-envoy-ratelimited is retried for envoy-ratelimited only', async () => {
    const limited = makeResponse(503, { 'x-envoy-ratelimited': 'true' });
    expect(await run(policy(['5xx']), [limited])).toMatchObject({ attempts: 1 });
    expect(await run(policy(['envoy-ratelimited']), [limited, 200])).toMatchObject({ attempts: 2 });
  });

  test('a grpc-status counts in the headers only, and not in those of a rate-limited answer', async () => {
    const unavailable = makeResponse(200, { 'grpc-status': '14' });
    const limited = makeResponse(200, { 'grpc-status': '14', 'x-envoy-ratelimited': 'true' });
    expect(await run(policy(['unavailable']), [unavailable, 200])).toMatchObject({ attempts: 2 });
    expect(await run(policy(['cancelled']), [unavailable, 200])).toMatchObject({ attempts: 1 });
    expect(await run(policy(['unavailable']), [limited, 200])).toMatchObject({ attempts: 1 });
  });

  test('a body in memory is sent again whole', async () => {
    const request = makeRequest({ method: 'POST', body: bytesBody('hello') });
    expect((await run(policy(['5xx']), [503, 200], request)).bodies).toEqual(['hello', 'hello']);
  });

  test('a streamed body within the limit is replayed', async () => {
    const request = makeRequest({ method: 'POST', body: streamed(['ab', 'cd', 'ef']) });
    expect((await run(policy(['5xx']), [503, 503, 200], request)).bodies).toEqual([
      'abcdef',
      'abcdef',
      'abcdef',
    ]);
  });

  test('a streamed body above the limit is sent once and not retried', async () => {
    const request = makeRequest({ method: 'POST', body: streamed(['x'.repeat(60), 'y'.repeat(60)]) });
    const result = await run(policy(['5xx']), [503, 200], request);
    expect(result).toMatchObject({ status: 503, attempts: 1 });
    expect(result.bodies[0]).toHaveLength(120);
  });

  test('a caller that gives up stops the retries', async () => {
    const clock = createFakeClock();
    const request = makeRequest();
    const filter = retry(policy(['5xx']), {
      clock,
      random: () => 0.99,
      permits: new Permits(),
      replayLimitBytes: 1,
    });
    let attempts = 0;
    const running = filter(request, async () => {
      attempts++;
      return makeResponse(503);
    });
    const settled = running.catch((error: unknown) => error);
    await clock.advance(1);
    request.abort.abort(new Error('gone'));
    expect(await settled).toMatchObject({ failure: 'aborted' });
    expect(attempts).toBe(1);
  });

  test('only the flags of the last attempt stay', async () => {
    const clock = createFakeClock();
    const request = makeRequest();
    const filter = retry(policy(['connect-failure']), {
      clock,
      random: () => 0,
      permits: new Permits(),
      replayLimitBytes: 1,
    });
    let attempts = 0;
    const response = await filter(request, async (attempt) => {
      if (++attempts > 1) return makeResponse(200);
      attempt.context.flags.push('UF');
      throw failure('connect', false);
    });
    expect([response.status, request.context.flags]).toEqual([200, []]);
  });
});

/** Envoy's table: which condition retries which failure. */
const FAILURES: Readonly<
  Record<string, { readonly error: TransportError; readonly by: readonly RetryCondition[] }>
> = {
  'connection refused': {
    error: failure('connect', false),
    by: ['5xx', 'gateway-error', 'reset', 'connect-failure', 'reset-before-request'],
  },
  'refused stream': { error: failure('refused'), by: ['5xx', 'gateway-error', 'reset', 'refused-stream'] },
  'reset after the request was sent': {
    error: failure('reset', true),
    by: ['5xx', 'gateway-error', 'reset'],
  },
  'reset before a byte was sent': {
    error: failure('reset', false),
    by: ['5xx', 'gateway-error', 'reset', 'reset-before-request'],
  },
  'per-try timeout': { error: failure('per-try-timeout'), by: ['5xx', 'gateway-error', 'reset'] },
  'caller gone': { error: failure('aborted'), by: [] },
};

describe('retry conditions without a response', () => {
  for (const [name, { error, by }] of Object.entries(FAILURES)) {
    for (const condition of RETRY_CONDITIONS) {
      const expected = by.includes(condition) ? 2 : 1;
      test(`${condition} makes ${expected} attempt(s) of: ${name}`, async () => {
        expect((await run(policy([condition]), [error, 200])).attempts).toBe(expected);
      });
    }
  }
});

describe('retry conditions by status', () => {
  const cases: readonly [RetryCondition, number, boolean][] = [
    ['5xx', 500, true],
    ['5xx', 599, true],
    ['5xx', 499, false],
    ['gateway-error', 502, true],
    ['gateway-error', 504, true],
    ['gateway-error', 500, false],
    ['retriable-4xx', 409, true],
    ['retriable-4xx', 404, false],
    ['retriable-status-codes', 418, true],
    ['retriable-status-codes', 503, false],
    ['connect-failure', 503, false],
  ];
  for (const [condition, status, expected] of cases) {
    test(`${condition} ${expected ? 'retries' : 'leaves'} ${status}`, async () => {
      const rules = policy([condition], { retriableStatusCodes: [418] });
      expect((await run(rules, [status, 200])).attempts).toBe(expected ? 2 : 1);
    });
  }
});

function streamed(chunks: readonly string[]): NativeBody {
  async function* iterate() {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const body: NativeBody = { kind: 'native', value: undefined, length: undefined, iterate };
  return { ...body, value: iterateBody(body) };
}
