import { expect, test } from 'vitest';
import { deadlineOf } from '../../../src/service/deadline.js';
import { HeaderMap } from '../../../src/service/headers.js';

const at = (headers: Record<string, string>) => deadlineOf(HeaderMap.from(Object.entries(headers)), 100);
const GRPC = { 'content-type': 'application/grpc' };

test.each<[Record<string, string>, number | undefined]>([
  [{}, undefined],
  [{ 'x-envoy-expected-rq-timeout-ms': '250' }, 350],
  [{ 'x-envoy-expected-rq-timeout-ms': '0' }, undefined],
  [{ 'x-envoy-expected-rq-timeout-ms': 'soon' }, undefined],
  [{ ...GRPC, 'grpc-timeout': '2S' }, 2100],
  [{ 'grpc-timeout': '2S' }, undefined],
  [{ ...GRPC, 'grpc-timeout': '2S', 'x-envoy-expected-rq-timeout-ms': '250' }, 350],
])('a caller that says %j waits until %s', (headers, deadline) => {
  expect(at(headers)).toBe(deadline);
});
