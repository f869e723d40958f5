import { describe, expect, test } from 'vitest';
import { retry } from '../../../src/filters/retry.js';
import type { RetryPolicy } from '../../../src/model/retry.js';
import { type CallRetry, RetryThrottle } from '../../../src/service/call-retry.js';
import { HeaderMap } from '../../../src/service/headers.js';
import { localReply } from '../../../src/service/local-reply.js';
import type { Request, Response } from '../../../src/service/service.js';
import { TransportError, type TransportFailure } from '../../../src/service/transport-error.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, makeResponse } from './support.js';

/** The policy that nobody wrote. */
const SAFE: RetryPolicy = {
  retryOn: ['connect-failure', 'refused-stream', 'reset-before-request'],
  numRetries: 2,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
  avoidPreviousHosts: true,
  hostSelectionAttempts: 1,
};

const RETRY: CallRetry = {
  kind: 'retry',
  maxAttempts: 4,
  statuses: new Set([14]),
  backoff: { initialMs: 100, maxMs: 250, multiplier: 2 },
  hedgingDelayMs: 0,
  throttle: undefined,
};
const HEDGE: CallRetry = { ...RETRY, kind: 'hedge', maxAttempts: 3, hedgingDelayMs: 50 };

/** An answer that is nothing but a status. */
const only = (status: number, more: readonly string[] = []): Response => ({
  ...makeResponse(200),
  headers: HeaderMap.fromLines(['content-type', 'application/grpc', 'grpc-status', String(status), ...more]),
});
const failure = (kind: TransportFailure, sent = true) => new TransportError(kind, sent, new Error(kind));

type Step = Response | TransportError | 'hangs' | ((request: Request) => Response);

/** Runs a call against scripted attempts; waits pass by themselves. */
async function run(own: CallRetry, steps: readonly Step[], policy = SAFE, isDefault = true, free = 100) {
  const clock = createFakeClock();
  const startedAt: number[] = [];
  const aborted: number[] = [];
  let held = 0;
  const filter = retry(policy, {
    clock,
    // Half of the chance: the waits as they are.
    random: () => 0.5,
    replayLimitBytes: 1000,
    permits: {
      tryAcquire: () => held < free && ++held > 0,
      release: () => void held--,
    },
    isDefault,
  });
  const request = makeRequest();
  request.context.callRetry = own;
  let at = 0;
  const pending = filter(request, (one) => {
    const index = at++;
    startedAt.push(clock.now());
    one.abort.onAbort(() => void aborted.push(index));
    const step = steps[index];
    if (step === undefined) throw new Error('an attempt too many');
    if (step === 'hangs') return new Promise<Response>(() => {});
    if (typeof step === 'function') return Promise.resolve(step(one));
    return step instanceof TransportError ? Promise.reject(step) : Promise.resolve(step);
  });
  let outcome: Response | TransportError | undefined;
  pending.then(
    (response) => {
      outcome = response;
    },
    (error: TransportError) => {
      outcome = error;
    },
  );
  for (let round = 0; round < 200 && outcome === undefined; round++) await clock.advance(10);
  const { flags } = request.context;
  const status =
    outcome === undefined || outcome instanceof TransportError
      ? outcome?.failure
      : Number(outcome.headers.peek('grpc-status'));
  return { status, startedAt, attempts: startedAt.length, held, flags, aborted };
}

describe('retries of the application', () => {
  test('wait as gRFC A6 says, up to the number of attempts', async () => {
    const { status, startedAt, flags, held } = await run(RETRY, [only(14), only(14), only(14), only(14)]);
    expect(status).toBe(14);
    expect(startedAt).toEqual([0, 100, 300, 550]);
    expect([flags, held]).toEqual([['URX'], 0]);
  });

  test('are for the statuses that they name; a head is none', async () => {
    expect(await run(RETRY, [only(13)])).toMatchObject({ status: 13, attempts: 1 });
    expect(await run(RETRY, [makeResponse(200)])).toMatchObject({ attempts: 1 });
    // gRPC: answers of HTTP, and what breaks, stand for a status.
    expect(await run(RETRY, [makeResponse(503), failure('remote-reset'), only(0)])).toMatchObject({
      status: 0,
      attempts: 3,
    });
  });

  test('obey the server: a wait of its own, after which waits begin anew, or none at all', async () => {
    const named = only(14, ['grpc-retry-pushback-ms', '400']);
    expect((await run(RETRY, [only(14), named, only(14), only(0)])).startedAt).toEqual([0, 100, 500, 600]);
    const never = only(14, ['grpc-retry-pushback-ms', '-1']);
    expect(await run(RETRY, [never])).toMatchObject({ status: 14, attempts: 1, held: 0 });
  });

  test('do not count what the server can not have processed', async () => {
    const two: CallRetry = { ...RETRY, maxAttempts: 2, statuses: new Set([13]) };
    const steps = [failure('refused'), failure('connect', false), only(13), only(0)];
    expect(await run(two, steps)).toMatchObject({ status: 0, attempts: 4 });
  });

  test('stop while too many calls fail, and go on when they succeed', async () => {
    const throttle = new RetryThrottle(2, 1);
    const own = { ...RETRY, throttle };
    // One of two tokens is left: no more than half.
    expect((await run(own, [only(14)])).attempts).toBe(1);
    expect((await run(own, [only(0)])).attempts).toBe(1);
    expect(throttle.isOpen).toBe(true);
  });

  test('respect the limit of the cluster', async () => {
    const { attempts, flags } = await run(RETRY, [only(14)], SAFE, true, 0);
    expect([attempts, flags]).toEqual([1, ['UO']]);
  });

  test('never come after what the mesh refuses, but after a lack of hosts', async () => {
    const refused = (reason: string) => (request: Request) =>
      localReply(request, { status: 503, body: '', details: 'test', reason });
    expect((await run(RETRY, [refused('INMESH_OVERLOAD')])).attempts).toBe(1);
    expect((await run(RETRY, [refused('INMESH_NO_HEALTHY_UPSTREAM'), only(0)])).attempts).toBe(2);
  });

  test('yield to a policy of the mesh', async () => {
    const { attempts } = await run(RETRY, [only(14)], { ...SAFE, retryOn: ['internal'] }, false);
    expect(attempts).toBe(1);
  });
});

describe('hedging of the application', () => {
  test('sends an attempt after each delay; the first answer wins, the others are reset', async () => {
    const { status, startedAt, aborted, held } = await run(HEDGE, ['hangs', 'hangs', only(0)]);
    expect([status, startedAt, held]).toEqual([0, [0, 50, 100], 0]);
    expect(aborted).toEqual([0, 1]);
  });

  test('a status that is not fatal sends the next one at once, a fatal one ends the call', async () => {
    expect(await run(HEDGE, [only(14), only(14), only(14)])).toMatchObject({
      status: 14,
      startedAt: [0, 0, 0],
      held: 0,
    });
    expect(await run(HEDGE, ['hangs', only(13)])).toMatchObject({ status: 13, startedAt: [0, 50] });
  });

  test('obeys the server', async () => {
    const named = only(14, ['grpc-retry-pushback-ms', '200']);
    expect((await run(HEDGE, [named, only(0)])).startedAt).toEqual([0, 200]);
    const never = only(14, ['grpc-retry-pushback-ms', 'no']);
    expect(await run(HEDGE, [never])).toMatchObject({ status: 14, attempts: 1 });
  });

  test('without a delay all go at once', async () => {
    const at = await run({ ...HEDGE, hedgingDelayMs: 0 }, ['hangs', 'hangs', only(0)]);
    expect(at.startedAt).toEqual([0, 0, 0]);
  });

  test('stops while too many calls fail', async () => {
    const throttle = new RetryThrottle(2, 0.1);
    throttle.failed();
    const { attempts, status } = await run({ ...HEDGE, throttle }, [only(14)]);
    expect([attempts, status]).toEqual([1, 14]);
  });
});

describe('a call of gRPC under no policy', () => {
  async function call(steps: readonly Step[], free: number) {
    const clock = createFakeClock();
    const filter = retry(SAFE, {
      clock,
      random: () => 0.5,
      replayLimitBytes: 1000,
      permits: { tryAcquire: () => free > 0, release: () => {} },
      isDefault: true,
    });
    const request = makeRequest();
    request.context.channelId = '1';
    let attempts = 0;
    const outcome = await filter(request, async () => {
      const step = steps[attempts++];
      if (step instanceof TransportError) throw step;
      // The scripts of this test have nothing else.
      return step as Response;
    }).catch((error: TransportError) => error.failure);
    return { outcome, attempts, now: clock.now() };
  }
  const dead = () => failure('connect', false);

  test('asks the next host at once where there is no connection, whatever the limit of retries (gRFC A42)', async () => {
    const fine = only(0);
    const steps = [...Array.from({ length: 9 }, dead), fine];
    expect(await call(steps, 0)).toEqual({ outcome: fine, attempts: 10, now: 0 });
    expect(await call(Array.from({ length: 13 }, dead), 0)).toMatchObject({
      outcome: 'connect',
      attempts: 10,
    });
  });

  test('has no more retries for other failures than requests of HTTP', async () => {
    expect(await call([failure('refused')], 0)).toMatchObject({ outcome: 'refused', attempts: 1 });
  });
});
