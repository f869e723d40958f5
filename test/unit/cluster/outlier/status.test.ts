import { describe, expect, test } from 'vitest';
import {
  endsWithStatus,
  httpOfGrpc,
  statusForOutliers,
  statusOfTrailers,
} from '../../../../src/cluster/outlier/status.js';
import { EMPTY_BODY } from '../../../../src/service/body.js';
import { Completion } from '../../../../src/service/completion.js';
import { createGrpcMessages } from '../../../../src/service/grpc-messages.js';
import { HeaderMap } from '../../../../src/service/headers.js';
import { request } from '../fixtures.js';

const response = (status: number, headers: readonly (readonly [string, string])[]) => ({
  status,
  statusText: '',
  headers: HeaderMap.from(headers),
  body: EMPTY_BODY,
  completion: Completion.done,
});
const grpc = request({ headers: HeaderMap.from([['content-type', 'application/grpc+proto']]) });

describe('the status that outlier detection judges', () => {
  test('is the HTTP status', () => {
    expect(statusForOutliers(request(), response(503, []))).toBe(503);
    expect(statusForOutliers(request(), response(200, [['grpc-status', '14']]))).toBe(200);
  });

  test('is the equivalent of a gRPC status in the headers, for gRPC requests', () => {
    expect(statusForOutliers(grpc, response(200, [['grpc-status', '14']]))).toBe(503);
    expect(statusForOutliers(grpc, response(200, []))).toBe(200);
  });

  test('comes with the trailers when the head of a call has none', () => {
    const call = request({ headers: grpc.headers });
    call.context.grpcMessages = createGrpcMessages();
    expect(endsWithStatus(call, response(200, []))).toBe(true);
    expect(endsWithStatus(call, response(200, [['grpc-status', '0']]))).toBe(false);
    expect(endsWithStatus(call, { ...response(200, []), isWhole: true })).toBe(false);
    expect(endsWithStatus(call, response(503, []))).toBe(false);
    expect(endsWithStatus(grpc, response(200, []))).toBe(false);
    expect(statusOfTrailers(HeaderMap.from([['grpc-status', '14']]))).toBe(503);
    expect(statusOfTrailers(undefined)).toBe(500);
  });

  test.each([
    ['0', 200],
    ['4', 504],
    ['8', 429],
    ['17', 500],
    ['x', 500],
    ['', 500],
  ])('gRPC %s is HTTP %i', (status, expected) => {
    expect(httpOfGrpc(status)).toBe(expected);
  });
});
