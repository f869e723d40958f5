import { expect } from 'vitest';
import { httpOfGrpc } from '../../src/cluster/outlier/status.js';
import { compileConditions } from '../../src/routing/conditions.js';
import { grpcStatusOfExchange } from '../../src/service/format/grpc-status.js';
import { formatGrpcTimeout, parseGrpcTimeout } from '../../src/service/grpc-timeout.js';
import { HeaderMap } from '../../src/service/headers.js';
import { grpcStatusOf, isGrpcType } from '../../src/service/local-reply.js';
import { makeRequest, makeResponse } from '../unit/filters/support.js';
import { prefix, route } from '../unit/routing/fixtures.js';
import { requestOf } from './envoy-tables.js';
import { vectorJson, vectorSuite } from './score.js';

type Fields = Readonly<Record<string, string>>;

interface Fallback {
  readonly trailers: Fields;
  readonly headers: Fields;
  readonly http: number | null;
  readonly status: number | null;
}

interface GrpcFile {
  readonly timeout_parse_ms: readonly (readonly [string, number | null])[];
  readonly timeout_format_ms: readonly (readonly [number | string, string])[];
  readonly grpc_to_http: Readonly<Record<string, number>>;
  readonly grpc_to_http_invalid: number;
  readonly http_to_grpc: Readonly<Record<string, number>>;
  readonly grpc_content_type: readonly (readonly [string, boolean])[];
  readonly request_is_grpc: readonly (readonly [Fields, boolean])[];
  readonly response_is_grpc: readonly unknown[];
  readonly status_parse: readonly (readonly [string, number | string])[];
  readonly status_fallback: readonly Fallback[];
  readonly status_details_bin: readonly unknown[];
}

const file = 'envoy/vectors/grpc.json';
const grpc = vectorJson(file) as GrpcFile | undefined;
const title = (one: unknown): string => JSON.stringify(one);
const isGrpc = compileConditions(route('', prefix('/'), { grpcOnly: true }).match);

vectorSuite({
  file,
  part: 'timeouts that are read',
  cases: grpc?.timeout_parse_ms ?? [],
  title,
  run: ([text, ms]) => expect(parseGrpcTimeout(text) ?? null).toBe(ms),
});

vectorSuite({
  file,
  part: 'timeouts that are written',
  cases: grpc?.timeout_format_ms ?? [],
  title,
  run: ([ms, text]) => expect(formatGrpcTimeout(Number(ms))).toBe(text),
});

vectorSuite({
  file,
  part: 'statuses as HTTP',
  cases: Object.entries(grpc?.grpc_to_http ?? {}).concat([['99', grpc?.grpc_to_http_invalid ?? 500]]),
  title,
  run: ([status, http]) => expect(httpOfGrpc(status)).toBe(http),
});

vectorSuite({
  file,
  part: 'HTTP as statuses',
  cases: Object.entries(grpc?.http_to_grpc ?? {}),
  title,
  run: ([http, status]) => expect(grpcStatusOf(Number(http))).toBe(status),
});

vectorSuite({
  file,
  part: 'content types',
  cases: grpc?.grpc_content_type ?? [],
  title,
  run: ([type, expected]) => {
    expect(isGrpc(makeRequest({ header: { 'content-type': type } }), 0)).toBe(expected);
    expect(isGrpcType(type)).toBe(expected);
  },
});

vectorSuite({
  file,
  part: 'requests',
  cases: grpc?.request_is_grpc ?? [],
  title,
  run: ([headers, expected]) => expect(isGrpc(requestOf(Object.entries(headers), 0), 0)).toBe(expected),
});

vectorSuite({
  file,
  part: 'statuses of exchanges',
  cases: grpc?.status_fallback ?? [],
  title,
  run: ({ trailers, headers, http, status }) => {
    const response = http === null ? undefined : makeResponse(http, headers);
    const request = makeRequest();
    const input = { exchange: request.context, request, response, trailers: HeaderMap.from(Object.entries(trailers)) };
    expect(grpcStatusOfExchange(input) ?? null).toBe(status);
  },
});

vectorSuite({
  file,
  part: 'other',
  cases: [...(grpc?.response_is_grpc ?? []), ...(grpc?.status_parse ?? []), ...(grpc?.status_details_bin ?? [])],
  title,
  skip: () => 'nothing here asks whether a response is gRPC, nor reads details of statuses',
  run: () => {},
});
