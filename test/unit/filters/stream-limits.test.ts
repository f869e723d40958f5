import { describe, expect, test } from 'vitest';
import { type StreamLimits, StreamTimeout, streamLimits } from '../../../src/filters/stream-limits.js';
import type { NativeBody } from '../../../src/service/body.js';
import { Completion } from '../../../src/service/completion.js';
import type { Request, Response } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, openResponse } from './support.js';

const NONE: StreamLimits = {
  idleMs: undefined,
  routeDurationMs: undefined,
  managerDurationMs: undefined,
  grpcTimeout: undefined,
};
const GRPC = { 'content-type': 'application/grpc' };
const STREAM: NativeBody = { kind: 'native', value: undefined, length: undefined, async *iterate() {} };
const never = () => new Promise<Response>(() => {});

function scene(limits: Partial<StreamLimits>, change: Parameters<typeof makeRequest>[0] = {}) {
  const clock = createFakeClock();
  const filter = streamLimits({ ...NONE, ...limits }, clock);
  const request = makeRequest(change);
  const run = (next: (request: Request) => Promise<Response> = never) =>
    filter === undefined ? next(request) : filter(request, next);
  return { clock, request, run };
}

describe('limits of a stream', () => {
  test('without any there is nothing to run', () => {
    const clock = createFakeClock();
    expect(streamLimits(NONE, clock)).toBeUndefined();
    expect(streamLimits({ ...NONE, idleMs: 0, managerDurationMs: 0 }, clock)).toBeUndefined();
  });

  test('a pause ends a request that waits for its answer with 504 and flag SI', async () => {
    const { clock, request, run } = scene({ idleMs: 1000 });
    const running = run();
    await clock.advance(999);
    expect(request.abort.aborted).toBe(false);
    await clock.advance(1);
    expect(await running).toMatchObject({ status: 504, body: { bytes: 'stream timeout' } });
    expect(request.context).toMatchObject({ flags: ['SI'], details: 'stream_idle_timeout' });
    expect(request.abort.reason).toBeInstanceOf(StreamTimeout);
  });

  test('while the request is not complete it is 408', async () => {
    const { clock, run } = scene({ idleMs: 1000 }, { body: STREAM });
    const running = run();
    await clock.advance(1000);
    expect((await running).status).toBe(408);
  });

  test('bytes in either direction begin the pause anew; after the head the exchange is reset', async () => {
    const { clock, request, run } = scene({ idleMs: 1000 });
    const response = openResponse(200);
    await run(async () => response);
    for (let i = 0; i < 5; i++) {
      await clock.advance(900);
      request.context.responseBytes += 10;
    }
    expect(request.abort.aborted).toBe(false);
    await clock.advance(1250);
    expect(request.abort.reason).toBeInstanceOf(StreamTimeout);
    expect(request.context.flags).toEqual(['SI']);
  });

  test('the end of the exchange stops the timers', async () => {
    const { clock, run } = scene({ idleMs: 1000, routeDurationMs: 5000 });
    const response = openResponse(200);
    await run(async () => response);
    expect(clock.pending).toBe(2);
    response.completion.settle();
    expect(clock.pending).toBe(0);
  });

  test('a duration covers the whole exchange: 504, flag DT, and status 4 for gRPC', async () => {
    const { clock, request, run } = scene({ routeDurationMs: 1000 });
    const running = run();
    await clock.advance(1000);
    expect(await running).toMatchObject({ status: 504, body: { bytes: 'downstream duration timeout' } });
    expect(request.context).toMatchObject({ flags: ['DT'], details: 'max_duration_timeout' });
    const call = scene({ routeDurationMs: 1000 }, { header: GRPC });
    const answer = call.run();
    await call.clock.advance(1000);
    expect((await answer).headers.get('grpc-status')).toBe('4');
  });

  test('the route’s duration goes before the connection manager’s, 0 is none', async () => {
    const { clock, request, run } = scene({ routeDurationMs: 0, managerDurationMs: 1000 });
    void run();
    await clock.advance(100_000);
    expect(request.abort.aborted).toBe(false);
    const manager = scene({ managerDurationMs: 1000 });
    const running = manager.run();
    await manager.clock.advance(1000);
    expect((await running).status).toBe(504);
  });

  test('the time that was used before is taken off', async () => {
    const { clock, run } = scene({ routeDurationMs: 1000 });
    await clock.advance(400);
    const running = run();
    await clock.advance(600);
    expect((await running).status).toBe(504);
  });

  test.each([
    // grpc-timeout, maximum, offset, what is left of it
    ['2S', 0, undefined, 2000, '2000m'],
    ['2S', 1500, undefined, 1500, '1500m'],
    ['2S', 0, 300, 1700, '1700m'],
    ['100m', 0, 300, 0, '0m'],
  ])('a grpc-timeout of %s with maximum %s and offset %s', async (timeout, maxMs, offsetMs, limit, told) => {
    const { clock, request, run } = scene(
      { routeDurationMs: 60_000, grpcTimeout: { maxMs, offsetMs } },
      { header: { ...GRPC, 'grpc-timeout': timeout } },
    );
    const running = run();
    expect(request.headers.get('grpc-timeout')).toBe(told);
    if (limit > 0) await clock.advance(limit - 1);
    if (limit > 0) expect(request.abort.aborted).toBe(false);
    await clock.advance(1);
    expect((await running).headers.get('grpc-status')).toBe('4');
  });

  test('without a maximum for it, or without one, the duration applies', async () => {
    const plain = scene({ routeDurationMs: 1000 }, { header: { ...GRPC, 'grpc-timeout': '5S' } });
    void plain.run();
    await plain.clock.advance(1000);
    expect(plain.request.abort.aborted).toBe(true);
    const absent = scene({ routeDurationMs: 1000, grpcTimeout: { maxMs: 0, offsetMs: undefined } });
    void absent.run();
    await absent.clock.advance(1000);
    expect(absent.request.abort.aborted).toBe(true);
  });

  test('a streamed request that is complete waits for its answer anew', async () => {
    const { clock, request, run } = scene({ idleMs: 1000 }, { body: STREAM });
    request.context.requestSent = new Completion();
    const running = run();
    await clock.advance(900);
    request.context.requestSent.settle();
    await clock.advance(999);
    expect(request.abort.aborted).toBe(false);
    await clock.advance(1);
    expect((await running).status).toBe(504);
  });
});
