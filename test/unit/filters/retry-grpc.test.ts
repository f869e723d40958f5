import { describe, expect, test } from 'vitest';
import { retry } from '../../../src/filters/retry.js';
import type { RetryCondition, RetryPolicy } from '../../../src/model/retry.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { TransportError, type TransportFailure } from '../../../src/service/transport-error.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, makeResponse } from './support.js';

function policy(retryOn: readonly RetryCondition[]): RetryPolicy {
  return {
    retryOn,
    numRetries: 2,
    perTryTimeoutMs: undefined,
    retriableStatusCodes: [],
    baseIntervalMs: 25,
    maxIntervalMs: 250,
    avoidPreviousHosts: true,
    hostSelectionAttempts: 1,
  };
}

const GRPC = { 'content-type': 'application/grpc' };

/** When each attempt of a call was made, in milliseconds; every attempt ends as told, the ones after as OK. */
async function attemptsOf(
  retryOn: readonly RetryCondition[],
  outcomes: readonly (Record<string, string> | TransportError)[],
  header: Record<string, string> = GRPC,
): Promise<readonly number[]> {
  const clock = createFakeClock();
  const at: number[] = [];
  const tools = { clock, random: seededRandom(7), permits: { tryAcquire: () => true, release() {} } };
  const filter = retry(policy(retryOn), { ...tools, replayLimitBytes: 100 });
  const running = filter(makeRequest({ method: 'POST', header }), async () => {
    const outcome = outcomes[at.length] ?? { 'grpc-status': '0' };
    at.push(clock.now());
    if (outcome instanceof TransportError) throw outcome;
    return makeResponse(200, outcome);
  }).catch(() => {});
  await clock.advance(60_000);
  await running;
  return at.map((one) => one - (at[0] ?? 0));
}

const failure = (kind: TransportFailure, resetCode?: number) =>
  new TransportError(kind, true, new Error(kind), resetCode);

describe('retries of gRPC calls', () => {
  const table: readonly [RetryCondition, TransportFailure, number | undefined, boolean][] = [
    ['unavailable', 'connect', undefined, true],
    ['unavailable', 'reset', undefined, true],
    ['unavailable', 'refused', 7, true],
    ['unavailable', 'remote-reset', 8, false],
    ['cancelled', 'remote-reset', 8, true],
    ['resource-exhausted', 'remote-reset', 11, true],
    ['internal', 'remote-reset', 2, true],
    ['internal', 'remote-reset', 1, true],
    ['internal', 'reset', undefined, false],
    ['internal', 'reset', 0, true],
    ['unavailable', 'reset', 0, false],
    ['cancelled', 'per-try-timeout', undefined, true],
    ['unavailable', 'stream-duration', undefined, false],
    ['unavailable', 'aborted', undefined, false],
  ];
  for (const [condition, kind, code, expected] of table) {
    test(`${condition} ${expected ? 'retries' : 'leaves'} ${kind} ${code ?? ''}`, async () => {
      expect(await attemptsOf([condition], [failure(kind, code)])).toHaveLength(expected ? 2 : 1);
    });
  }

  test('what is no call is judged as HTTP, though the conditions are those of gRPC', async () => {
    expect(await attemptsOf(['unavailable'], [failure('reset')], {})).toHaveLength(1);
  });

  test('a wait that the server asks for replaces the back-off, to the millisecond', async () => {
    const asked = { 'grpc-status': '14', 'grpc-retry-pushback-ms': '1234' };
    expect(await attemptsOf(['unavailable'], [asked])).toEqual([0, 1234]);
    expect(await attemptsOf(['unavailable'], [{ ...asked, 'grpc-retry-pushback-ms': '0' }])).toEqual([0, 0]);
  });

  test.each(['-1', 'never', '', '1.5'])('a pushback of %j forbids another try', async (text) => {
    const asked = { 'grpc-status': '14', 'grpc-retry-pushback-ms': text };
    expect(await attemptsOf(['unavailable'], [asked])).toHaveLength(1);
  });

  test('the back-off begins anew after a pushback', async () => {
    const [, first, second = 0] = await attemptsOf(
      ['unavailable'],
      [{ 'grpc-status': '14', 'grpc-retry-pushback-ms': '100' }, { 'grpc-status': '14' }],
    );
    expect(first).toBe(100);
    expect(second - 100).toBeLessThan(25);
  });
});
