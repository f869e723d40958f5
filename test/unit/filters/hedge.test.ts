import { describe, expect, test } from 'vitest';
import { retry } from '../../../src/filters/retry.js';
import type { HedgePolicy, RetryPolicy } from '../../../src/model/retry.js';
import { bytesBody } from '../../../src/service/body.js';
import type { Request, Response } from '../../../src/service/service.js';
import { NO_LIMITS } from '../../../src/service/time-limits.js';
import { TransportError } from '../../../src/service/transport-error.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, makeResponse, openResponse } from './support.js';

const POLICY: RetryPolicy = {
  retryOn: ['5xx'],
  numRetries: 2,
  perTryTimeoutMs: 100,
  retriableStatusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
  avoidPreviousHosts: false,
  hostSelectionAttempts: 1,
};
const HEDGE: HedgePolicy = {
  initialRequests: 1,
  additionalRequestChance: { numerator: 0, denominator: 100 },
  onPerTryTimeout: true,
};
const FLAGGED = new TransportError('reset', true, new Error('reset'));

/** An attempt under way, which the test ends. */
interface Pending {
  readonly request: Request;
  answer(status: number): Response;
  fail(error?: TransportError): void;
}

function scene(
  change: {
    policy?: Partial<RetryPolicy>;
    hedge?: Partial<HedgePolicy>;
    permits?: number;
    draw?: number;
  } = {},
) {
  const clock = createFakeClock();
  const attempts: Pending[] = [];
  const late: object[] = [];
  let held = 0;
  const filter = retry(
    { ...POLICY, ...change.policy },
    {
      clock,
      random: () => change.draw ?? 0,
      permits: {
        tryAcquire: () => held < (change.permits ?? 9) && ++held > 0,
        release: () => {
          held--;
        },
      },
      replayLimitBytes: 100,
      hedge: { ...HEDGE, ...change.hedge },
      reportLate: (upstream) => late.push(upstream),
    },
  );
  const request = makeRequest({ body: bytesBody('hello') });
  request.context.limits = {
    ...NO_LIMITS,
    globalMs: 1000,
    perTryMs: 100,
    hedgeOnPerTry: { ...HEDGE, ...change.hedge }.onPerTryTimeout,
  };
  const ends: (number | string)[] = [];
  const running = filter(request, (below) => {
    below.context.upstream = { address: `host-${attempts.length}` };
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        request: below,
        answer(status) {
          const response = status === 200 ? openResponse(200) : makeResponse(status);
          resolve(response);
          return response;
        },
        fail: (error = FLAGGED) => reject(error),
      };
      attempts.push(pending);
      below.abort.onAbort((reason) => reject(new TransportError('aborted', true, reason)));
    });
  });
  running.then(
    ({ status }) => ends.push(status),
    (error: unknown) => ends.push(error instanceof TransportError ? error.failure : 'error'),
  );
  const settle = () => clock.advance(0);
  return { clock, request, attempts, late, ends, running, held: () => held, settle };
}

describe('hedging on a per-try timeout', () => {
  test('leaves the late attempt running, reports its host, and starts another beside it', async () => {
    const { clock, attempts, late, ends, held } = scene();
    await clock.advance(100);
    expect(late).toEqual([{ address: 'host-0' }]);
    expect(attempts).toHaveLength(2);
    expect(attempts[0]?.request.abort.aborted).toBe(false);
    attempts[0]?.answer(200);
    await clock.advance(0);
    expect(ends).toEqual([200]);
    // The loser is cancelled, and nothing is left behind.
    expect(attempts[1]?.request.abort.aborted).toBe(true);
    expect(held()).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test('the answer that comes first wins, and says which host gave it', async () => {
    const { clock, request, attempts, ends } = scene();
    await clock.advance(100);
    attempts[1]?.answer(200);
    await clock.advance(0);
    expect(ends).toEqual([200]);
    expect(request.context.upstream).toEqual({ address: 'host-1' });
    expect(attempts[0]?.request.abort.aborted).toBe(true);
  });

  test('a bad answer is swallowed while another attempt may still bring a good one', async () => {
    const { clock, attempts, ends } = scene({ policy: { numRetries: 1 } });
    await clock.advance(100);
    attempts[0]?.answer(503);
    await clock.advance(0);
    expect(ends).toEqual([]);
    attempts[1]?.answer(200);
    await clock.advance(0);
    expect(ends).toEqual([200]);
  });

  test('the last bad answer is the answer', async () => {
    const { clock, request, attempts, ends } = scene({ policy: { numRetries: 1 } });
    await clock.advance(100);
    attempts[1]?.answer(503);
    await clock.advance(0);
    attempts[0]?.answer(502);
    await clock.advance(0);
    expect(ends).toEqual([502]);
    expect(request.context.flags).toContain('URX');
  });

  test('as often as retries remain, and no more', async () => {
    const { clock, attempts, request } = scene();
    await clock.advance(900);
    expect(attempts).toHaveLength(3);
    expect(request.context.flags).toEqual(['URX']);
  });

  test('a full budget allows none', async () => {
    const { clock, attempts, request } = scene({ permits: 0 });
    await clock.advance(100);
    expect(attempts).toHaveLength(1);
    expect(request.context.flags).toEqual(['UO']);
  });

  test('a failure of one waits for the other; the caller that gives up ends both', async () => {
    const { clock, request, attempts, ends, held } = scene({ policy: { numRetries: 1 } });
    await clock.advance(100);
    attempts[0]?.fail();
    await clock.advance(0);
    expect(ends).toEqual([]);
    request.abort.abort('bye');
    await clock.advance(0);
    expect(ends).toEqual(['aborted']);
    expect(held()).toBe(0);
  });

  test('an attempt that fails before it is late is retried as ever, after its wait', async () => {
    const { clock, attempts } = scene({ draw: 0.5 });
    attempts[0]?.fail();
    await clock.advance(0);
    await clock.advance(25);
    expect(attempts).toHaveLength(2);
  });

  test('each attempt has headers of its own', async () => {
    const { clock, attempts } = scene();
    await clock.advance(100);
    attempts[0]?.request.headers.set('x-attempt', '1');
    expect(attempts[1]?.request.headers.get('x-attempt')).toBeUndefined();
  });
});

describe('several initial requests', () => {
  test('start at once; the first acceptable answer wins', async () => {
    const { attempts, ends, settle } = scene({ hedge: { initialRequests: 3, onPerTryTimeout: false } });
    await settle();
    expect(attempts).toHaveLength(3);
    attempts[1]?.answer(200);
    await settle();
    expect(ends).toEqual([200]);
    expect(attempts.map(({ request }) => request.abort.aborted)).toEqual([true, false, true]);
  });

  test('one more by chance', async () => {
    const chance = { numerator: 30, denominator: 100 as const };
    const unlucky = scene({
      hedge: { additionalRequestChance: chance, onPerTryTimeout: false },
      draw: 99 / 2 ** 32,
    });
    const lucky = scene({ hedge: { additionalRequestChance: chance, onPerTryTimeout: false }, draw: 0 });
    expect([unlucky.attempts.length, lucky.attempts.length]).toEqual([1, 2]);
  });

  test('a body that arrives goes to one attempt alone', () => {
    const attempts: Request[] = [];
    const filter = retry(POLICY, {
      clock: createFakeClock(),
      random: () => 0,
      permits: { tryAcquire: () => true, release() {} },
      replayLimitBytes: 100,
      hedge: { ...HEDGE, initialRequests: 3 },
    });
    const body = { kind: 'native' as const, value: undefined, length: undefined, async *iterate() {} };
    void filter(makeRequest({ body }), (request) => {
      attempts.push(request);
      return new Promise(() => {});
    });
    expect(attempts).toHaveLength(1);
  });
});
