import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { decodeAdaptiveConcurrency, decodeAdmissionControl } from '../../../src/codec/overload.js';
import { rootPath } from '../../../src/codec/path.js';
import { httpAdaptiveConcurrency, httpAdmissionControl } from '../../../src/proto/xds.js';

const PATH = rootPath('LDS l');

describe('adaptive concurrency', () => {
  const decode = (gradient: object) =>
    decodeAdaptiveConcurrency(
      create(httpAdaptiveConcurrency.AdaptiveConcurrencySchema, {
        concurrencyControllerConfig: { case: 'gradientControllerConfig', value: gradient },
      }),
      PATH,
    );
  const limit = { concurrencyUpdateInterval: { nanos: 100_000_000 } };
  const rtt = { interval: { seconds: 60n } };

  test('has Envoy’s defaults', () => {
    expect(decode({ concurrencyLimitParams: limit, minRttCalcParams: rtt })).toEqual({
      kind: 'adaptive-concurrency',
      enabled: true,
      percentile: 50,
      maxLimit: 1000,
      updateIntervalMs: 100,
      minRttIntervalMs: 60_000,
      minRttRequests: 50,
      jitterPercent: 15,
      minConcurrency: 3,
      bufferPercent: 25,
      refusedStatus: 503,
    });
  });

  test.each<[object, string]>([
    [{ minRttCalcParams: rtt }, 'concurrency_limit_params: is required'],
    [{ concurrencyLimitParams: limit }, 'min_rtt_calc_params: is required'],
    [{ concurrencyLimitParams: {}, minRttCalcParams: rtt }, 'concurrency_update_interval: is required'],
    [
      { concurrencyLimitParams: { ...limit, maxConcurrencyLimit: 0 }, minRttCalcParams: rtt },
      'max_concurrency_limit: must be greater than 0',
    ],
  ])('is refused: case %#', (gradient, message) => {
    expect(() => decode(gradient)).toThrow(message);
  });
});

describe('admission control', () => {
  const decode = (message: object) =>
    decodeAdmissionControl(create(httpAdmissionControl.AdmissionControlSchema, message), PATH);
  const criteria = (value: object) => ({ evaluationCriteria: { case: 'successCriteria' as const, value } });

  test('has Envoy’s defaults', () => {
    expect(decode(criteria({}))).toEqual({
      kind: 'admission-control',
      enabled: true,
      httpSuccess: [{ start: 0, end: 500 }],
      grpcSuccess: [0, 1, 2, 3, 5, 6, 7, 9, 11, 12, 16],
      windowMs: 30_000,
      aggression: 1,
      successThresholdPercent: 95,
      rpsThreshold: 0,
      maxRejectionPercent: 80,
    });
  });

  test.each<[object, string]>([
    [{}, 'success_criteria: is required'],
    [criteria({ httpCriteria: {} }), 'http_success_status: must not be empty'],
    [
      criteria({ httpCriteria: { httpSuccessStatus: [{ start: 99, end: 200 }] } }),
      'http_success_status[0]: [99, 200) is no range of HTTP status',
    ],
    [criteria({ grpcCriteria: { grpcSuccessStatus: [17] } }), 'grpc_success_status[0]: must be at most 16'],
    [
      { ...criteria({}), srThreshold: { defaultValue: { value: 0.5 }, runtimeKey: 'x' } },
      'sr_threshold: must be at least 1 %',
    ],
  ])('is refused: case %#', (message, complaint) => {
    expect(() => decode(message)).toThrow(complaint);
  });
});
