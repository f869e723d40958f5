import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RetryPolicy } from '../../src/model/retry.js';
import { Abort } from '../../src/runtime/abort.js';
import { Completion } from '../../src/service/completion.js';
import type { MemoryAnswer } from '../../src/testing/memory-transport.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../integration/support/static-mesh.js';
import { createDataPath } from '../unit/mesh/support.js';

const RETRY: RetryPolicy = {
  retryOn: ['5xx', 'reset', 'connect-failure'],
  numRetries: 3,
  perTryTimeoutMs: 40,
  perTryIdleTimeoutMs: 30,
  retriableStatusCodes: [],
  baseIntervalMs: 5,
  maxIntervalMs: 20,
  avoidPreviousHosts: true,
  hostSelectionAttempts: 2,
};

/** What becomes of one attempt, and when. */
const fate = () =>
  fc.record({
    afterMs: fc.nat(80),
    kind: fc.constantFrom('ok', 'error', 'reset', 'refused', 'connect', 'hangs', 'stream'),
    bodyMs: fc.nat(60),
    breaks: fc.boolean(),
  });

const exchange = () =>
  fc.record({
    atMs: fc.nat(100),
    fates: fc.array(fate(), { minLength: 1, maxLength: 4 }),
    givesUpMs: fc.option(fc.nat(150), { nil: undefined }),
    headers: fc.constantFrom<Record<string, string>>(
      {},
      { 'x-envoy-upstream-rq-timeout-ms': '60' },
      { 'x-envoy-hedge-on-per-try-timeout': 'true' },
      { 'x-envoy-max-retries': '0' },
    ),
  });

const routes = () =>
  fc.record({
    timeoutMs: fc.constantFrom(0, 50, 120),
    idleTimeoutMs: fc.constantFrom(0, 45),
    maxStreamDurationMs: fc.constantFrom(undefined, 90),
    initialRequests: fc.constantFrom(1, 2),
    onPerTryTimeout: fc.boolean(),
  });

describe('circuit breakers', () => {
  test('count nothing any more once every exchange is over, however it ended', async () => {
    await fc.assert(
      fc.asyncProperty(
        routes(),
        fc.array(exchange(), { minLength: 1, maxLength: 6 }),
        async (limits, exchanges) => {
          const { initialRequests, onPerTryTimeout, ...action } = limits;
          const hedge = {
            initialRequests,
            additionalRequestChance: { numerator: 0, denominator: 100 as const },
            onPerTryTimeout,
          };
          const route = forward('v1', { ...action, hedge, retryPolicy: RETRY });
          const path = createDataPath(
            snapshotOf([host('reviews:80', [route])], [cluster('v1', [endpoint(1), endpoint(2)])]),
          );
          const { clock } = path;
          const fates = exchanges.flatMap(({ fates }) => fates);
          let next = 0;
          const serve = () =>
            new Promise<MemoryAnswer>((resolve) => {
              const one = fates[next++ % fates.length];
              if (one === undefined || one.kind === 'hangs') return;
              clock.schedule(one.afterMs, () => resolve(answerOf(one)));
            });
          const answerOf = ({ kind, bodyMs, breaks }: (typeof fates)[number]): MemoryAnswer => {
            if (kind === 'reset' || kind === 'refused' || kind === 'connect') return { failure: kind };
            if (kind !== 'stream') return { status: kind === 'ok' ? 200 : 503 };
            const completion = new Completion();
            clock.schedule(bodyMs, () =>
              completion.settle(undefined, breaks ? new Error('broke off') : undefined),
            );
            return { status: 200, completion };
          };
          path.network.serve('127.0.0.1:1', serve);
          path.network.serve('127.0.0.1:2', serve);
          let ended = 0;
          for (const { atMs, givesUpMs, headers } of exchanges) {
            clock.schedule(atMs, () => {
              const abort = new Abort();
              if (givesUpMs !== undefined) clock.schedule(givesUpMs, () => abort.abort('bye'));
              // What nobody limits or gives up would hang for ever.
              clock.schedule(5000, () => abort.abort('over'));
              path.send('http://reviews', { abort, header: headers }).then(
                () => ended++,
                () => ended++,
              );
            });
          }
          await clock.advance(20_000);
          const breakers = path.clusters.get('v1')?.breakers;
          expect(ended).toBe(exchanges.length);
          expect(breakers?.default.requests.active).toBe(0);
          expect(breakers?.default.retries.active).toBe(0);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });
});
