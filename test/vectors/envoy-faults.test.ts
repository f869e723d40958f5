import { describe, expect, test } from 'vitest';
import { abortOf, abortShare, delayOf, delayShare, rateOf, rateShare } from '../../src/filters/fault-settings.js';
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
  if (kind === 'rate_kbps') return rateOf({ limitKbps: undefined, percentage: NONE }, headers);
  return abortOf({ status: { kind: 'header' }, percentage: NONE }, headers)?.code;
}

function shareOf(header: string, percentage: FractionalPercent, headers: HeaderMap): FractionalPercent {
  if (header.includes('delay')) return delayShare({ fixedMs: undefined, percentage }, headers);
  if (header.includes('throughput')) return rateShare({ limitKbps: undefined, percentage }, headers);
  return abortShare({ status: { kind: 'header' }, percentage }, headers);
}

const values = readCases<ValueCase>('vectors/fault_config.json', 'header_values');
const shares = readCases<ShareCase>('vectors/fault_config.json', 'header_percentages');
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
      expect(shareOf(header, percentage, headers), text).toEqual({ numerator, denominator });
    }
  });
});
