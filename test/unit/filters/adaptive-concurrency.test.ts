import { expect, test } from 'vitest';
import { adaptiveConcurrency } from '../../../src/filters/adaptive-concurrency.js';
import type { AdaptiveConcurrencyConfig } from '../../../src/model/overload.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, openResponse } from './support.js';

const CONFIG: AdaptiveConcurrencyConfig = {
  kind: 'adaptive-concurrency',
  enabled: true,
  percentile: 50,
  maxLimit: 100,
  updateIntervalMs: 100,
  minRttIntervalMs: 30_000,
  minRttRequests: 5,
  jitterPercent: 0,
  minConcurrency: 2,
  bufferPercent: 25,
  refusedStatus: 429,
};

test('above the limit a request is refused, whichever stack it comes through; an end makes room', async () => {
  const tools = filterTools(createFakeClock());
  const [one, other] = [adaptiveConcurrency(CONFIG, tools), adaptiveConcurrency(CONFIG, tools)];
  const first = openResponse(200);
  await one?.(makeRequest(), async () => first);
  await other?.(makeRequest(), async () => openResponse(200));
  const refused = await one?.(makeRequest(), async () => openResponse(200));
  expect(refused).toMatchObject({
    status: 429,
    body: { bytes: 'reached concurrency limit' },
    local: { details: 'reached_concurrency_limit' },
  });
  expect(tools.memory.counter('adaptive_concurrency.gradient_controller.rq_blocked').value).toBe(1);
  first.completion.settle();
  expect((await other?.(makeRequest(), async () => openResponse(200)))?.status).toBe(200);
});

test('a failure makes room, too; what broke off says nothing about latency', async () => {
  const filter = adaptiveConcurrency({ ...CONFIG, minConcurrency: 1 }, filterTools(createFakeClock()));
  await expect(filter?.(makeRequest(), () => Promise.reject(new Error('reset')))).rejects.toThrow('reset');
  const broken = openResponse(200);
  await filter?.(makeRequest(), async () => broken);
  broken.completion.settle(undefined, new Error('broke off'));
  expect((await filter?.(makeRequest(), async () => openResponse(200)))?.status).toBe(200);
});

test('when it is off it is not there', () => {
  expect(adaptiveConcurrency({ ...CONFIG, enabled: false }, filterTools(createFakeClock()))).toBeUndefined();
});
