import { describe, expect, test } from 'vitest';
import { admissionControl, rejectionChance } from '../../../src/filters/admission-control.js';
import { AdmissionWindow } from '../../../src/filters/admission-window.js';
import type { AdmissionControlConfig } from '../../../src/model/overload.js';
import { Completion } from '../../../src/service/completion.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Response } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const CONFIG: AdmissionControlConfig = {
  kind: 'admission-control',
  enabled: true,
  httpSuccess: [{ start: 0, end: 500 }],
  grpcSuccess: [0],
  windowMs: 30_000,
  aggression: 1,
  successThresholdPercent: 95,
  rpsThreshold: 0,
  maxRejectionPercent: 80,
};

describe('the chance to refuse', () => {
  const chance = (requests: number, successes: number, change: Partial<AdmissionControlConfig> = {}) =>
    rejectionChance({ requests, successes }, { ...CONFIG, ...change });

  test('is none at or above the threshold', () => {
    expect(chance(100, 100)).toBe(0);
    expect(chance(100, 95)).toBe(0);
    expect(chance(0, 0)).toBe(0);
  });

  test('grows with failures: (requests - successes / threshold) / (requests + 1)', () => {
    expect(chance(100, 50)).toBeCloseTo((100 - 50 / 0.95) / 101);
    expect(chance(9, 0, { maxRejectionPercent: 100 })).toBeCloseTo(0.9);
  });

  test('is the root of that with aggression, and never above the maximum', () => {
    expect(chance(100, 50, { aggression: 2 })).toBeCloseTo(Math.sqrt((100 - 50 / 0.95) / 101));
    expect(chance(1000, 0)).toBe(0.8);
    expect(chance(1000, 0, { aggression: 0.1, maxRejectionPercent: 90 })).toBe(0.9);
  });
});

describe('the window', () => {
  test('moves by the second and forgets what is too old', () => {
    const clock = createFakeClock();
    const window = new AdmissionWindow(3000, clock);
    for (let second = 0; second < 3; second++) {
      window.record(true);
      window.record(false);
      clock.block(1000);
    }
    expect(window.counts()).toEqual({ requests: 4, successes: 2 });
    clock.block(10_000);
    expect(window.counts()).toEqual({ requests: 0, successes: 0 });
  });

  test('knows the requests per second since the oldest, over a second at least', () => {
    const clock = createFakeClock();
    const window = new AdmissionWindow(30_000, clock);
    expect(window.averageRps()).toBe(0);
    for (let i = 0; i < 7; i++) window.record(true);
    expect(window.averageRps()).toBe(7);
    clock.block(2000);
    expect(window.averageRps()).toBe(3);
  });
});

describe('the filter', () => {
  const run = async (answers: readonly Response[], change: Partial<AdmissionControlConfig> = {}) => {
    const tools = { ...filterTools(createFakeClock()), random: () => 0 };
    const config = { ...CONFIG, ...change };
    const statuses: (number | string)[] = [];
    for (const answer of answers) {
      // Each stack that is built of the configuration goes on where the last one was.
      const filter = admissionControl(config, tools);
      const response = await filter?.(makeRequest(), async () => answer);
      statuses.push(response?.local?.details ?? response?.status ?? 0);
    }
    return { statuses, tools };
  };
  const many = (count: number, status: number) => Array.from({ length: count }, () => makeResponse(status));

  test('refuses with 503 once too many fail, counts what it refuses, and shares the window of its stacks', async () => {
    const { statuses, tools } = await run(many(3, 500));
    expect(statuses).toEqual([500, 'denied_by_admission_control', 'denied_by_admission_control']);
    expect(tools.memory.counter('admission_control.rq_rejected').value).toBe(2);
  });

  test('refuses nothing while there are few requests, nor when it is off', async () => {
    expect((await run(many(9, 500), { rpsThreshold: 100 })).statuses).toEqual(Array(9).fill(500));
    expect(admissionControl({ ...CONFIG, enabled: false }, filterTools(createFakeClock()))).toBeUndefined();
  });

  test('gRPC answers are judged by their status, in the head or in the trailers', async () => {
    const inHead = makeResponse(200, { 'content-type': 'application/grpc', 'grpc-status': '14' });
    expect((await run([inHead, inHead])).statuses).toEqual([200, 'denied_by_admission_control']);
    const completion = new Completion();
    const inTrailers = { ...makeResponse(200, { 'content-type': 'application/grpc' }), completion };
    completion.settle(HeaderMap.from([['grpc-status', '0']]));
    expect((await run([inTrailers, inTrailers])).statuses).toEqual([200, 200]);
  });
});
