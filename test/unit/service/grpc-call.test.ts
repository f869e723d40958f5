import { describe, expect, test } from 'vitest';
import { Abort } from '../../../src/runtime/abort.js';
import { bytesBody, readBody } from '../../../src/service/body.js';
import { Completion } from '../../../src/service/completion.js';
import { callGrpc, GrpcError } from '../../../src/service/grpc-call.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request, Response, Service } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

const CALL = {
  authority: 'limits',
  path: '/a.B/C',
  metadata: [['x-token', 'secret']],
  message: Buffer.from('hello'),
  timeoutMs: 0,
} as const;

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly trailers?: Record<string, string>;
  readonly body?: Uint8Array;
}

const frame = (text: string, flag = 0) =>
  Buffer.concat([Buffer.from([flag, 0, 0, 0, text.length]), Buffer.from(text)]);
const OK = { 'grpc-status': '0' };

function answering({ status = 200, headers = {}, trailers, body = Buffer.alloc(0) }: Answer): Service {
  return async () => {
    const completion = new Completion();
    completion.settle(trailers && HeaderMap.from(Object.entries(trailers)));
    return {
      status,
      statusText: '',
      headers: HeaderMap.from(Object.entries(headers)),
      body: bytesBody(body),
      completion,
    };
  };
}

const call = (service: Service, change: Partial<Parameters<typeof callGrpc>[1]> = {}, abort?: Abort) =>
  callGrpc(service, { ...CALL, ...change }, { clock: createFakeClock(), random: () => 0.5, abort });
const statusOf = async (calling: Promise<unknown>) => {
  const error: unknown = await calling.catch((reason: unknown) => reason);
  return error instanceof GrpcError ? error.status : error;
};

describe('a unary gRPC call', () => {
  test('is a framed POST', async () => {
    const seen: { request: Request; body: Buffer }[] = [];
    const answer = answering({ body: frame('world'), trailers: OK });
    const bytes = await call(
      async (request) => {
        seen.push({ request, body: await readBody(request.body) });
        return answer(request);
      },
      { timeoutMs: 1500.2 },
    );
    expect(Buffer.from(bytes).toString()).toBe('world');
    const [first] = seen;
    expect(first?.request).toMatchObject({ method: 'POST', path: '/a.B/C', authority: 'limits' });
    expect([...(first?.request.headers ?? [])]).toEqual([
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['grpc-timeout', '1501m'],
      ['x-token', 'secret'],
    ]);
    expect(first?.body).toEqual(frame('hello'));
  });

  test('may be answered with an empty message, and has units for long times', async () => {
    let timeout: string | undefined;
    const answer = answering({ body: frame(''), trailers: OK });
    const bytes = await call(
      (request) => {
        timeout = request.headers.get('grpc-timeout');
        return answer(request);
      },
      { timeoutMs: 100_000_000_000 },
    );
    expect(bytes.byteLength).toBe(0);
    expect(timeout).toBe('100000000S');
  });

  test.each<readonly [string, Answer, number]>([
    ['a status', { trailers: { 'grpc-status': '5' } }, 5],
    ['a status in the head', { headers: { 'grpc-status': '16' } }, 16],
    ['a status although there is a message', { body: frame('a'), trailers: { 'grpc-status': '13' } }, 13],
    ['no status', { body: frame('a') }, 2],
    ['nonsense for a status', { trailers: { 'grpc-status': 'fine' } }, 2],
    ['HTTP 503 of the mesh', { status: 503 }, 14],
    ['HTTP 404', { status: 404 }, 12],
    ['HTTP 401', { status: 401 }, 16],
    ['HTTP 403', { status: 403 }, 7],
    ['HTTP 400', { status: 400 }, 13],
    ['HTTP 302', { status: 302 }, 2],
    ['HTTP 500 with a good status', { status: 500, headers: OK }, 2],
    ['no message', { trailers: OK }, 13],
    ['half a message', { body: frame('world').subarray(0, 7), trailers: OK }, 13],
    ['two messages', { body: Buffer.concat([frame('a'), frame('b')]), trailers: OK }, 13],
    ['a compressed message', { body: frame('a', 1), trailers: OK }, 12],
  ])('fails with %s', async (_what, answer, expected) => {
    expect(await statusOf(call(answering(answer)))).toBe(expected);
  });

  test('fails with a message that is too long', async () => {
    const answer = answering({ body: frame('12345'), trailers: OK });
    expect(await statusOf(call(answer, { maxBytes: 4 }))).toBe(8);
    expect((await call(answer, { maxBytes: 5 })).byteLength).toBe(5);
  });

  test('fails when it takes too long, is given up, or breaks', async () => {
    const never: Service = () => new Promise<Response>(() => {});
    const clock = createFakeClock();
    const slow = callGrpc(never, { ...CALL, timeoutMs: 20 }, { clock, random: () => 0.5, abort: undefined });
    const slowStatus = statusOf(slow);
    await clock.advance(20);
    expect(await slowStatus).toBe(4);
    const abort = new Abort();
    const given = statusOf(call(never, {}, abort));
    abort.abort(new Error('gone'));
    expect(await given).toBe(1);
    expect(await statusOf(call(async () => Promise.reject(new Error('reset'))))).toBe(14);
  });
});
