import { describe, expect, test } from 'vitest';
import { nativeError } from '../../../../src/bindings/undici/native-error.js';
import { MeshError } from '../../../../src/runtime/errors.js';
import { TimeLimitError } from '../../../../src/service/time-limit-error.js';
import { TransportError } from '../../../../src/service/transport-error.js';
import { makeRequest } from '../../filters/support.js';

const withCode = (code: string) => Object.assign(new Error('the library says so'), { code });

function failedRequest() {
  const request = makeRequest();
  Object.assign(request.context, {
    clusterName: 'v1',
    upstreamHost: '10.0.0.1:80',
    attemptCount: 2,
    flags: ['UF', 'URX'],
  });
  return request;
}

describe('the error that a caller gets', () => {
  test('a connection failure is the library’s own error, with the mesh’s account below', () => {
    const own = withCode('ECONNREFUSED');
    const error = nativeError(new TransportError('connect', false, own), failedRequest());
    expect(error).toBe(own);
    expect(error.cause).toMatchObject({
      code: 'INMESH_UPSTREAM_CONNECT',
      resource: 'cluster v1, 2 attempts',
      flags: ['UF', 'URX'],
    });
    expect(String(error.cause)).toContain('10.0.0.1:80');
  });

  test('a broken connection tells that the request may have been processed', () => {
    const error = nativeError(new TransportError('reset', true, withCode('UND_ERR_SOCKET')), failedRequest());
    expect(error.cause).toMatchObject({
      code: 'INMESH_UPSTREAM_RESET',
      hint: expect.stringContaining('idempotent'),
    });
  });

  test('a cause that the library gave stays', () => {
    const cause = new Error('deeper');
    const own = new Error('outer', { cause });
    expect(nativeError(new TransportError('connect', false, own), makeRequest()).cause).toBe(cause);
  });

  test('a frozen error is passed as it is', () => {
    const own = Object.freeze(withCode('ECONNRESET'));
    expect(nativeError(new TransportError('reset', true, own), makeRequest())).toBe(own);
  });

  test('an abort is the caller’s own reason', () => {
    const reason = new DOMException('enough', 'AbortError');
    const error = nativeError(new TransportError('aborted', true, reason), makeRequest());
    expect(error).toBe(reason);
    expect(error.cause).toBeUndefined();
  });

  test('an error of the mesh is passed as it is; anything else becomes an Error', () => {
    const own = new MeshError('INMESH_PEER_IDENTITY', 'not who it should be');
    expect(nativeError(new TransportError('connect', false, own), makeRequest())).toBe(own);
    expect(nativeError(own, makeRequest())).toBe(own);
    expect(nativeError('text', makeRequest())).toMatchObject({ message: 'text' });
    expect(nativeError(new TransportError('reset', true, 'text'), makeRequest())).toMatchObject({
      message: 'text',
    });
  });
});

describe('who is to blame', () => {
  test('an answer that a time limit cut off is a MeshError, whoever kept the limit', () => {
    const limit = new TimeLimitError('upstream request timeout after 5 ms');
    for (const cause of [limit, new TransportError('per-try-idle-timeout', true, limit)]) {
      const error = nativeError(cause, failedRequest(), 'in-answer');
      expect(error).toMatchObject({ name: 'MeshError', code: 'INMESH_TIMEOUT', cause: limit });
    }
  });

  test('an answer that broke off has the account, unless the caller gave it up', () => {
    const own = withCode('UND_ERR_SOCKET');
    expect(nativeError(own, failedRequest(), 'in-answer').cause).toMatchObject({
      code: 'INMESH_UPSTREAM_RESET',
    });
    const request = failedRequest();
    const reason = new Error('enough');
    request.abort.abort(reason);
    expect(nativeError(reason, request, 'in-answer')).toBe(reason);
    expect(reason.cause).toBeUndefined();
  });

  test.each([
    ['refused', 'INMESH_UPSTREAM_RESET', 'not processed'],
    ['protocol', 'INMESH_UPSTREAM_PROTOCOL', 'serves HTTP'],
    ['remote-reset', 'INMESH_UPSTREAM_RESET', 'idempotent'],
  ] as const)('%s', (failure, code, hint) => {
    const { cause } = nativeError(new TransportError(failure, true, withCode('X')), failedRequest());
    expect(cause).toMatchObject({ code, hint: expect.stringContaining(hint) });
  });

  test('one error that ends two requests becomes two, with an account each', () => {
    const own = withCode('ECONNREFUSED');
    const [first, second] = [1, 2].map((attemptCount) => {
      const request = failedRequest();
      request.context.attemptCount = attemptCount;
      return nativeError(new TransportError('connect', false, own), request);
    });
    expect([first, second]).toMatchObject([
      { code: 'ECONNREFUSED', cause: { resource: 'cluster v1, 1 attempt' } },
      { code: 'ECONNREFUSED', cause: { resource: 'cluster v1, 2 attempts' } },
    ]);
    expect(second).not.toBe(first);
    expect(second?.stack).toBe(first?.stack);
  });
});
