import { describe, expect, test } from 'vitest';
import { abortOf, abortShare, delayOf, delayShare } from '../../src/filters/fault-settings.js';
import type { FractionalPercent } from '../../src/model/percent.js';
import { HeaderMap } from '../../src/service/headers.js';
import { hasVectors, readCases } from './envoy-config.js';

interface ValueCase {
  readonly header: string;
  readonly kind: string;
  readonly cases: readonly (readonly [string, number | null])[];
}
interface ShareCase {
  readonly header: string;
  readonly configured: { readonly numerator: number; readonly denominator: string };
  readonly cases: readonly (readonly [string, number])[];
}

const NONE: FractionalPercent = { numerator: 0, denominator: 100 };

function read(kind: string, headers: HeaderMap): number | undefined {
  if (kind === 'delay_ms') return delayOf({ fixedMs: undefined, percentage: NONE }, headers);
  return abortOf({ status: { kind: 'header' }, percentage: NONE }, headers)?.code;
}

const values = readCases<ValueCase>('vectors/fault_config.json', 'header_values').filter(
  ({ kind }) => kind !== 'rate_kbps',
);
const shares = readCases<ShareCase>('vectors/fault_config.json', 'header_percentages').filter(
  ({ header }) => !header.includes('throughput'),
);
const DENOMINATORS = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

describe.runIf(hasVectors)('faults that callers ask for, as Envoy tests them', () => {
  test.each(values)('$header', ({ header, kind, cases }) => {
    for (const [text, expected] of cases) {
      expect(read(kind, HeaderMap.from([[header, text]])) ?? null, text).toBe(expected);
    }
  });

  test.each(shares)('$header', ({ header, configured, cases }) => {
    const denominator = DENOMINATORS[configured.denominator as keyof typeof DENOMINATORS];
    const percentage: FractionalPercent = { numerator: configured.numerator, denominator };
    for (const [text, numerator] of cases) {
      const headers = HeaderMap.from([[header, text]]);
      const share = header.includes('delay')
        ? delayShare({ fixedMs: undefined, percentage }, headers)
        : abortShare({ status: { kind: 'header' }, percentage }, headers);
      expect(share, text).toEqual({ numerator, denominator });
    }
  });
});
