import { describe, expect, test } from 'vitest';
import { fault } from '../../../src/filters/fault.js';
import type { FaultConfig } from '../../../src/model/filter-config.js';
import { ALWAYS } from '../../../src/model/percent.js';
import { bytesBody } from '../../../src/service/body.js';
import type { Request, Response } from '../../../src/service/service.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const NOTHING: FaultConfig = {
  kind: 'fault',
  delay: undefined,
  abort: undefined,
  upstreamCluster: '',
  headers: [],
  maxActiveFaults: undefined,
};
const ABORT: FaultConfig = { ...NOTHING, abort: { status: { kind: 'http', code: 555 }, percentage: ALWAYS } };
const DELAY: FaultConfig = { ...NOTHING, delay: { fixedMs: 7000, percentage: ALWAYS } };

function run(
  config: FaultConfig,
  clock: FakeClock,
  request: Request = makeRequest(),
  seed = 1,
): Promise<Response> {
  const filter = fault(config, config, filterTools(clock, seed));
  return filter === undefined
    ? Promise.resolve(makeResponse(200))
    : filter(request, async () => makeResponse(200));
}

describe('fault', () => {
  test('a fault without delay and abort is no filter', () => {
    expect(fault(NOTHING, NOTHING, filterTools(createFakeClock()))).toBeUndefined();
  });

  test('an abort answers here with Envoy’s body, flag FI and detail', async () => {
    const request = makeRequest();
    const response = await run(ABORT, createFakeClock(), request);
    expect(response.status).toBe(555);
    expect(response.body).toEqual({ kind: 'bytes', bytes: 'fault filter abort' });
    expect(response.headers.get('x-inmesh-reason')).toBe('INMESH_FAULT_INJECTED');
    expect(request.context.flags).toEqual(['FI']);
    expect(request.context.details).toBe('fault_filter_abort');
  });

  test('a gRPC abort is status 200 with the grpc-status', async () => {
    const config: FaultConfig = {
      ...NOTHING,
      abort: { status: { kind: 'grpc', code: 14 }, percentage: ALWAYS },
    };
    const response = await run(config, createFakeClock());
    expect([response.status, response.headers.getAll('grpc-status')]).toEqual([200, ['14']]);
  });

  test('a delay holds the request for its time, sets DI, then lets it through', async () => {
    const clock = createFakeClock();
    const request = makeRequest();
    let done = false;
    const running = run(DELAY, clock, request).then((response) => {
      done = true;
      return response;
    });
    await clock.advance(6999);
    expect(done).toBe(false);
    await clock.advance(1);
    expect((await running).status).toBe(200);
    expect(request.context.flags).toEqual(['DI']);
  });

  test('a caller that gives up ends the delay', async () => {
    const clock = createFakeClock();
    const request = makeRequest();
    const running = run(DELAY, clock, request);
    const reason = new Error('gone');
    request.abort.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
  });

  test('headers that do not match leave the request alone', async () => {
    const config: FaultConfig = {
      ...ABORT,
      headers: [
        {
          name: 'end-user',
          match: { kind: 'string', matcher: { kind: 'exact', value: 'jason', ignoreCase: false } },
          invert: false,
          treatMissingAsEmpty: false,
        },
      ],
    };
    const clock = createFakeClock();
    expect((await run(config, clock)).status).toBe(200);
    expect((await run(config, clock, makeRequest({ header: { 'end-user': 'jason' } }))).status).toBe(555);
  });

  test('a fault for another cluster does nothing', () => {
    expect(
      fault({ ...ABORT, upstreamCluster: 'other' }, ABORT, filterTools(createFakeClock())),
    ).toBeUndefined();
  });

  test('a percentage hits its share of requests', async () => {
    const config: FaultConfig = {
      ...NOTHING,
      abort: { status: { kind: 'http', code: 503 }, percentage: { numerator: 20, denominator: 100 } },
    };
    const filter = fault(config, config, filterTools(createFakeClock(), 42));
    let aborted = 0;
    for (let i = 0; i < 10_000; i++) {
      const response = await filter?.(makeRequest(), async () => makeResponse(200));
      if (response?.status === 503) aborted++;
    }
    // Four standard deviations of a binomial share.
    expect(Math.abs(aborted - 2000)).toBeLessThan(160);
  });

  test('above max_active_faults no further request is delayed', async () => {
    const clock = createFakeClock();
    const filter = fault({ ...DELAY, maxActiveFaults: 1 }, DELAY, filterTools(clock));
    const first = filter?.(makeRequest(), async () => makeResponse(200));
    const second = makeRequest();
    const response = await filter?.(second, async () => makeResponse(201));
    expect([response?.status, second.context.flags]).toEqual([201, []]);
    await clock.advance(7000);
    expect((await first)?.status).toBe(200);
  });

  test('callers may ask for the fault by headers', async () => {
    const clock = createFakeClock();
    const config: FaultConfig = { ...NOTHING, abort: { status: { kind: 'header' }, percentage: ALWAYS } };
    const ask = async (header: Record<string, string>) =>
      (await run(config, clock, makeRequest({ header }))).status;
    expect(await ask({ 'x-envoy-fault-abort-request': '418' })).toBe(418);
    expect(await ask({ 'x-envoy-fault-abort-request': '700' })).toBe(200);
    expect(
      await ask({ 'x-envoy-fault-abort-request': '418', 'x-envoy-fault-abort-request-percentage': '0' }),
    ).toBe(200);
  });

  test('only callers of the named nodes are hit', async () => {
    const config: FaultConfig = { ...ABORT, downstreamNodes: ['canary'] };
    const from = (node: string) => makeRequest({ header: { 'x-envoy-downstream-service-node': node } });
    expect((await run(config, createFakeClock(), from('canary'))).status).toBe(555);
    expect((await run(config, createFakeClock(), from('stable'))).status).toBe(200);
  });
});

describe('a response rate limit', () => {
  const slow = (limitKbps: number | undefined): FaultConfig => ({
    ...NOTHING,
    responseRate: { limitKbps, percentage: ALWAYS },
  });

  /** Runs a request whose answer has so many bytes, and counts those that came. */
  async function receive(config: FaultConfig, bytes: number, header: Record<string, string> = {}) {
    const clock = createFakeClock();
    const tools = filterTools(clock);
    const filter = fault(config, config, tools);
    const request = makeRequest({ header });
    const answer = { ...makeResponse(200), body: bytesBody(Buffer.alloc(bytes)) };
    const response = await filter?.(request, async () => answer);
    const state = { received: 0, ended: false, failure: undefined as unknown };
    const { body } = response ?? answer;
    if (body.kind === 'push') {
      body.attach({
        data(chunk) {
          state.received += chunk.byteLength;
          return true;
        },
        end() {
          state.ended = true;
        },
        error(cause) {
          state.failure = cause;
        },
      });
    }
    return {
      clock,
      request,
      state,
      body,
      counter: (name: string) => tools.memory.counter(`fault.${name}`).value,
    };
  }

  test('lets a fill interval’s worth through, then what the rate allows', async () => {
    const { clock, state, counter } = await receive(slow(1), 2048);
    await clock.advance(0);
    expect(state.received).toBe(51);
    await clock.advance(1000);
    expect(state.received).toBeGreaterThan(950);
    expect(state.received).toBeLessThan(1080);
    expect([counter('active_faults'), counter('response_rl_injected')]).toEqual([1, 1]);
    await clock.advance(1000);
    expect([state.received, state.ended, counter('active_faults')]).toEqual([2048, true, 0]);
  });

  test('by header, if it says a number', async () => {
    const throughput = (value: string) => ({ 'x-envoy-fault-throughput-response': value });
    expect((await receive(slow(undefined), 10, throughput('1'))).body.kind).toBe('push');
    expect((await receive(slow(undefined), 10, throughput('0'))).body.kind).toBe('bytes');
    expect((await receive(slow(undefined), 10)).body.kind).toBe('bytes');
  });

  test('a caller that gives up is not waited for', async () => {
    const { clock, request, state, counter } = await receive(slow(1), 2048);
    await clock.advance(100);
    const reason = new Error('gone');
    request.abort.abort(reason);
    await clock.advance(0);
    expect([state.failure, counter('active_faults'), clock.pending]).toEqual([reason, 0, 0]);
  });

  test('counts against max_active_faults', async () => {
    const { body, counter } = await receive({ ...slow(1), maxActiveFaults: 0 }, 10);
    expect([body.kind, counter('faults_overflow')]).toEqual(['bytes', 1]);
  });
});
