import { describe, expect, test } from 'vitest';
import { RouteTimeout, timeout } from '../../../src/filters/timeout.js';
import type { NativeBody } from '../../../src/service/body.js';
import type { Request, Response } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, makeResponse, openResponse } from './support.js';

const never = (seen: Request[]) => (request: Request) => {
  seen.push(request);
  return new Promise<Response>(() => {});
};

describe('timeout', () => {
  test('it answers 504 with flag UT and aborts what runs below', async () => {
    const clock = createFakeClock();
    const request = makeRequest();
    const below: Request[] = [];
    const running = timeout(1000, clock)(request, never(below));
    await clock.advance(1000);
    const response = await running;
    expect(response.status).toBe(504);
    expect(response.body).toEqual({ kind: 'bytes', bytes: 'upstream request timeout' });
    expect(request.context.flags).toEqual(['UT']);
    expect(request.context.details).toBe('response_timeout');
    expect(below[0]?.abort.reason).toBeInstanceOf(RouteTimeout);
    expect(request.abort.reason).toBe(below[0]?.abort.reason);
  });

  test('an answer in time passes, and its end stops the timer', async () => {
    const clock = createFakeClock();
    const answer = openResponse(200);
    const response = await timeout(1000, clock)(makeRequest(), async () => answer);
    expect(response).toBe(answer);
    expect(clock.pending).toBe(1);
    answer.completion.settle();
    expect(clock.pending).toBe(0);
  });

  test('it covers the body: after the head it breaks the response off', async () => {
    const clock = createFakeClock();
    let below: Request | undefined;
    await timeout(1000, clock)(makeRequest(), async (request) => {
      below = request;
      return openResponse(200);
    });
    await clock.advance(1000);
    expect(below?.abort.reason).toBeInstanceOf(RouteTimeout);
  });

  test('for a streamed request it starts when the last byte was sent', async () => {
    const clock = createFakeClock();
    const body: NativeBody = { kind: 'native', value: undefined, length: undefined, async *iterate() {} };
    const request = makeRequest({ body });
    let status: number | undefined;
    void timeout(1000, clock)(request, never([])).then((response) => {
      status = response.status;
    });
    await clock.advance(500);
    request.context.requestStarted?.settle();
    await clock.advance(5000);
    expect(status).toBeUndefined();
    request.context.requestSent?.settle();
    await clock.advance(1000);
    expect(status).toBe(504);
  });

  test('a streamed request that gets no connection runs out of time, too', async () => {
    const clock = createFakeClock();
    const body: NativeBody = { kind: 'native', value: undefined, length: undefined, async *iterate() {} };
    const running = timeout(1000, clock)(makeRequest({ body }), never([]));
    await clock.advance(1000);
    expect((await running).status).toBe(504);
  });

  test('a failure below passes and stops the timer', async () => {
    const clock = createFakeClock();
    const failure = new Error('refused');
    const running = timeout(1000, clock)(makeRequest(), () => Promise.reject(failure));
    await expect(running).rejects.toBe(failure);
    expect(clock.pending).toBe(0);
  });

  test('a caller that gives up reaches the attempt', async () => {
    const clock = createFakeClock();
    const request = makeRequest();
    const below: Request[] = [];
    void timeout(1000, clock)(request, never(below));
    request.abort.abort('bye');
    expect(below[0]?.abort.reason).toBe('bye');
  });

  test('an answer that comes after the timeout is thrown away, not delivered twice', async () => {
    const clock = createFakeClock();
    let late: ((response: Response) => void) | undefined;
    const running = timeout(1000, clock)(
      makeRequest(),
      () =>
        new Promise((resolve) => {
          late = resolve;
        }),
    );
    await clock.advance(1000);
    late?.(makeResponse(200));
    expect((await running).status).toBe(504);
  });
});
