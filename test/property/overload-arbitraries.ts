import * as fc from 'fast-check';
import type { AdaptiveConcurrencyConfig, AdmissionControlConfig } from '../../src/model/overload.js';
import type { RuntimeKeys } from '../../src/model/runtime.js';

/** Configurations of the filters that shed load. */

const percent = (min = 0): fc.Arbitrary<number> => fc.double({ min, max: 100, noNaN: true });
const count = (): fc.Arbitrary<number> => fc.integer({ min: 1, max: 0xffff_ffff });
const milliseconds = (): fc.Arbitrary<number> => fc.integer({ min: 1, max: 1_000_000 });

/** Keys that some of the fields follow, or none of them. */
const runtimeKeys = <Field extends string>(
  ...fields: readonly Field[]
): fc.Arbitrary<RuntimeKeys<Field> | undefined> =>
  fc.subarray([...fields]).map((chosen) => {
    if (chosen.length === 0) return undefined;
    const keys: Partial<Record<Field, string>> = {};
    for (const field of chosen) keys[field] = `overload.${field}`;
    return keys;
  });

/** AdaptiveConcurrency. */
export const adaptiveConcurrency = (): fc.Arbitrary<AdaptiveConcurrencyConfig> =>
  fc.record({
    kind: fc.constant('adaptive-concurrency' as const),
    enabled: fc.boolean(),
    percentile: percent(),
    maxLimit: count(),
    updateIntervalMs: milliseconds(),
    minRttIntervalMs: milliseconds(),
    minRttRequests: count(),
    jitterPercent: percent(),
    minConcurrency: count(),
    bufferPercent: percent(),
    refusedStatus: fc.constantFrom(429, 503, 504),
    runtimeKeys: runtimeKeys('enabled'),
  });

/** AdmissionControl. */
export const admissionControl = (): fc.Arbitrary<AdmissionControlConfig> =>
  fc.record({
    kind: fc.constant('admission-control' as const),
    enabled: fc.boolean(),
    httpSuccess: fc.constantFrom(
      [{ start: 0, end: 500 }],
      [
        { start: 100, end: 400 },
        { start: 404, end: 405 },
      ],
    ),
    grpcSuccess: fc.uniqueArray(fc.integer({ min: 0, max: 16 }), { minLength: 1 }),
    windowMs: fc.integer({ min: 1, max: 1000 }).map((seconds) => seconds * 1000),
    aggression: fc.double({ min: 1, max: 100, noNaN: true }),
    successThresholdPercent: percent(1),
    rpsThreshold: count(),
    maxRejectionPercent: percent(),
    runtimeKeys: runtimeKeys(
      'enabled',
      'aggression',
      'successThresholdPercent',
      'rpsThreshold',
      'maxRejectionPercent',
    ),
  });
