import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type FailureRateBreakerOptions,
  type FailureRateBreakers,
  loadFailureRateBreakers,
} from '../../../src/filters/failure-rate-breaker.js';
import { localReply } from '../../../src/service/local-reply.js';
import type { Filter, Service } from '../../../src/service/service.js';
import { TransportError } from '../../../src/service/transport-error.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, makeResponse } from './support.js';

let clock: FakeClock;
let breakers: FailureRateBreakers;

beforeEach(async () => {
  clock = createFakeClock();
  breakers = await loadFailureRateBreakers(clock);
});

afterEach(() => breakers.close());

/** opossum's own timer is real: short where it is awaited, and long where it must not come. */
const SOON = { resetTimeoutMs: 100 };

interface Scene {
  readonly filter: Filter;
  readonly states: string[];
  /** Settles at the next change to the state. */
  becomes(state: string): Promise<void>;
  /** Sends some requests, which get the status, or fail. */
  send(count: number, outcome: number | Error): Promise<(number | string)[]>;
  /** How many got through. */
  readonly sent: () => number;
}

function scene(options: FailureRateBreakerOptions = {}, cluster = 'reviews'): Scene {
  const states: string[] = [];
  const waiting: { state: string; resolve: () => void }[] = [];
  const filter = breakers.filter(cluster, {
    minimumRequests: 4,
    resetTimeoutMs: 60_000,
    onStateChange(state) {
      states.push(state);
      for (const one of waiting) if (one.state === state) one.resolve();
    },
    ...options,
  });
  let sent = 0;
  const serviceOf =
    (outcome: number | Error): Service =>
    async () => {
      sent++;
      if (outcome instanceof Error) throw outcome;
      return makeResponse(outcome);
    };
  return {
    filter,
    states,
    becomes: (state) => new Promise((resolve) => waiting.push({ state, resolve })),
    async send(count, outcome) {
      const results: (number | string)[] = [];
      for (let i = 0; i < count; i++) {
        const result = filter(makeRequest(), serviceOf(outcome)).then(
          ({ status, local }) => local?.reason ?? status,
          () => 'error',
        );
        results.push(await result);
      }
      return results;
    },
    sent: () => sent,
  };
}

const reset = new TransportError('reset', true, new Error('reset'));
const aborted = new TransportError('aborted', true, new Error('bye'));

describe('the failure-rate breaker', () => {
  test('opens when more than half of enough requests fail, and then sends nothing', async () => {
    const { send, states, sent } = scene();
    expect(await send(2, 200)).toEqual([200, 200]);
    expect(await send(3, 500)).toEqual([500, 500, 500]);
    expect(states).toEqual(['open']);
    expect(await send(2, 200)).toEqual(['INMESH_FAILURE_RATE_OPEN', 'INMESH_FAILURE_RATE_OPEN']);
    expect(sent()).toBe(5);
  });

  test('answers 503 with flag UO while it is open', async () => {
    const { filter, send } = scene();
    await send(4, 503);
    const request = makeRequest();
    const response = await filter(request, async () => makeResponse(200));
    expect([response.status, response.local]).toEqual([
      503,
      { reason: 'INMESH_FAILURE_RATE_OPEN', details: 'failure_rate_open' },
    ]);
    expect(response.headers.get('x-envoy-overloaded')).toBe('true');
    expect(request.context.flags).toEqual(['UO']);
  });

  test('does not open below the threshold, nor with too few requests', async () => {
    const few = scene({}, 'few');
    await few.send(3, 500);
    expect(few.states).toEqual([]);
    const low = scene({ errorThresholdPercentage: 60 }, 'low');
    for (let i = 0; i < 10; i++) {
      await low.send(1, 200);
      await low.send(1, 500);
    }
    expect(low.states).toEqual([]);
  });

  test('attempts without response count as failures; the error is the caller’s as it is', async () => {
    const { filter, send, states } = scene();
    await expect(filter(makeRequest(), () => Promise.reject(reset))).rejects.toBe(reset);
    expect(await send(3, reset)).toEqual(['error', 'error', 'error']);
    expect(states).toEqual(['open']);
  });

  test('callers that give up are no failures', async () => {
    const { send, states } = scene();
    await send(20, aborted);
    expect(states).toEqual([]);
  });

  test('isFailure decides what a failure is', async () => {
    const { send, states } = scene({ isFailure: ({ status }) => status === 429 });
    expect(await send(10, 500)).not.toContain('INMESH_FAILURE_RATE_OPEN');
    expect(await send(11, 429)).toContain(429);
    expect(states).toEqual(['open']);
  });

  test('what left the window is forgotten', async () => {
    const { send, states } = scene({ windowMs: 1_000 });
    await send(3, 500);
    await clock.advance(1_000);
    expect(await send(10, 200)).not.toContain('INMESH_FAILURE_RATE_OPEN');
    await send(3, 500);
    expect(states).toEqual([]);
  });

  test('a probe that succeeds closes it', async () => {
    const { send, states, becomes } = scene(SOON);
    const halfOpen = becomes('halfOpen');
    await send(4, 500);
    await halfOpen;
    expect(await send(3, 200)).toEqual([200, 200, 200]);
    expect(states).toEqual(['open', 'halfOpen', 'close']);
  });

  test('a probe that fails keeps it open, until the next one', async () => {
    const { send, states, becomes } = scene(SOON);
    const halfOpen = becomes('halfOpen');
    await send(4, 500);
    await halfOpen;
    const again = becomes('halfOpen');
    expect(await send(2, 502)).toEqual([502, 'INMESH_FAILURE_RATE_OPEN']);
    await again;
    expect(await send(1, 200)).toEqual([200]);
    expect(states).toEqual(['open', 'halfOpen', 'open', 'halfOpen', 'close']);
  });

  test('one probe at a time', async () => {
    const { filter, send, becomes } = scene(SOON);
    const halfOpen = becomes('halfOpen');
    await send(4, 500);
    await halfOpen;
    let answer = (): void => {};
    const probe = filter(
      makeRequest(),
      () =>
        new Promise((resolve) => {
          answer = () => resolve(makeResponse(200));
        }),
    );
    expect(await send(2, 200)).toEqual(['INMESH_FAILURE_RATE_OPEN', 'INMESH_FAILURE_RATE_OPEN']);
    answer();
    expect((await probe).status).toBe(200);
    expect(await send(1, 200)).toEqual([200]);
  });

  test('a probe that its caller gives up proves nothing: it stays open', async () => {
    const { send, states, becomes } = scene(SOON);
    const halfOpen = becomes('halfOpen');
    await send(4, 500);
    await halfOpen;
    expect(await send(2, aborted)).toEqual(['error', 'INMESH_FAILURE_RATE_OPEN']);
    expect(states).toEqual(['open', 'halfOpen', 'open']);
  });

  test('what it refused is no success: it opens again as soon as before', async () => {
    const { send, states, becomes } = scene({ windowMs: 1_000, resetTimeoutMs: 400 });
    const halfOpen = becomes('halfOpen');
    await send(4, 500);
    await clock.advance(1_000);
    await send(500, 200);
    await halfOpen;
    await send(1, 200);
    await send(4, 500);
    expect(states).toEqual(['open', 'halfOpen', 'close', 'open']);
  });

  test('a fallback answers instead', async () => {
    const { filter, send } = scene({ fallback: async () => makeResponse(203) });
    await send(4, 500);
    expect((await filter(makeRequest(), async () => makeResponse(200))).status).toBe(203);
  });

  test('a stack that is built anew keeps the state; another cluster has its own', async () => {
    const { send } = scene();
    await send(4, 500);
    expect(await scene().send(1, 200)).toEqual(['INMESH_FAILURE_RATE_OPEN']);
    expect(await scene({}, 'ratings').send(1, 200)).toEqual([200]);
  });

  test('what opened it is forgotten when it closes, though it is still in the window', async () => {
    const { send, states, becomes } = scene({ ...SOON, windowMs: 60_000 });
    const halfOpen = becomes('halfOpen');
    await send(10, 500);
    await halfOpen;
    await send(1, 200);
    // One of four is not more than half; the failures of before would make it so.
    expect(await send(4, 200)).toEqual([200, 200, 200, 200]);
    await send(1, 500);
    expect(states).toEqual(['open', 'halfOpen', 'close']);
  });

  test('for each host: one is left out while another serves, and a host that is gone is let go', async () => {
    const states: string[] = [];
    const hosts = breakers.hosts('reviews', {
      scope: 'host',
      minimumRequests: 4,
      onStateChange: (state, cluster, host) => states.push(`${state} ${cluster} ${String(host)}`),
    });
    const a = { address: '10.0.0.1:80', isRetired: false };
    const b = { address: '10.0.0.2:80', isRetired: false };
    const serve =
      (status: number): Service =>
      async () =>
        makeResponse(status);
    for (let i = 0; i < 4; i++) {
      await hosts.of(a)(makeRequest(), serve(500));
      await hosts.of(b)(makeRequest(), serve(200));
    }
    expect([hosts.isOpen(a), hosts.isOpen(b)]).toEqual([true, false]);
    expect(states).toEqual(['open reviews 10.0.0.1:80']);
    const refused = await hosts.of(a)(makeRequest(), serve(200));
    expect(refused.local?.reason).toBe('INMESH_FAILURE_RATE_OPEN');
    expect(breakers.hosts('reviews', { scope: 'host', minimumRequests: 4 })).toBe(hosts);
    expect(breakers.hosts('reviews', { scope: 'host', minimumRequests: 5 })).not.toBe(hosts);
    a.isRetired = true;
    await clock.advance(2_000);
    await expect(hosts.of(a)(makeRequest(), serve(200))).resolves.toMatchObject({ status: 200 });
  });

  test('an answer that was made here says nothing about a host', async () => {
    const hosts = breakers.hosts('ratings', { scope: 'host', minimumRequests: 2 });
    const host = { address: '10.0.0.1:80', isRetired: false };
    const reply = { status: 503, body: '', details: '', reason: 'INMESH_OVERFLOW' };
    for (let i = 0; i < 9; i++)
      await hosts.of(host)(makeRequest(), async (request) => localReply(request, reply));
    expect(hosts.isOpen(host)).toBe(false);
  });

  test('breakers of one window length share a timer, which ends with them', () => {
    scene({ windowMs: 5_000 }, 'a');
    scene({ windowMs: 5_000 }, 'b');
    scene({ windowMs: 2_000 }, 'c');
    expect(clock.pending).toBe(2);
    breakers.close();
    expect(clock.pending).toBe(0);
  });
});
