import { describe, expect, test } from 'vitest';
import { formatGrpcTimeout, parseGrpcTimeout } from '../../src/service/grpc-timeout.js';
import { grpcStatusOf, isGrpcType } from '../../src/service/local-reply.js';
import { hasVectors, readText } from './envoy-config.js';

interface GrpcVectors {
  readonly timeout_parse_ms: readonly (readonly [string, number | null])[];
  readonly timeout_format_ms: readonly (readonly [number | string, string])[];
  readonly http_to_grpc: Readonly<Record<string, number>>;
  readonly grpc_content_type: readonly (readonly [string, boolean])[];
}

const vectors = (): GrpcVectors => JSON.parse(readText('vectors/grpc.json')) as GrpcVectors;

describe.runIf(hasVectors)('gRPC over HTTP as Envoy reads and writes it', () => {
  test('a grpc-timeout in milliseconds', () => {
    for (const [text, ms] of vectors().timeout_parse_ms) {
      expect([text, parseGrpcTimeout(text) ?? null]).toEqual([text, ms]);
    }
  });

  test('milliseconds as a grpc-timeout', () => {
    for (const [ms, text] of vectors().timeout_format_ms) expect(formatGrpcTimeout(Number(ms))).toBe(text);
  });

  test('the gRPC status of answers that are made here', () => {
    for (const [http, grpc] of Object.entries(vectors().http_to_grpc)) {
      expect([http, grpcStatusOf(Number(http))]).toEqual([http, grpc]);
    }
  });

  test('which content types are gRPC', () => {
    for (const [type, isGrpc] of vectors().grpc_content_type) {
      expect([type, isGrpcType(type)]).toEqual([type, isGrpc]);
    }
  });
});
