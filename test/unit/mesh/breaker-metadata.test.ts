import { expect, test } from 'vitest';
import { breakerInMetadata } from '../../../src/mesh/breaker-metadata.js';
import type { Response } from '../../../src/service/service.js';

test('the metadata of a cluster says how its failure-rate breaker works', () => {
  const metadata = {
    'inmesh.failure_rate_breaker': {
      scope: 'host',
      windowMs: 5000,
      failureStatuses: [429],
      fallback: { status: 200, body: 'later' },
    },
  };
  const options = breakerInMetadata(metadata);
  expect(options).toMatchObject({ scope: 'host', windowMs: 5000 });
  // Only the status is looked at.
  expect(options?.isFailure?.({ status: 429 } as Response)).toBe(true);
  expect(options?.isFailure?.({ status: 500 } as Response)).toBe(false);
  expect(breakerInMetadata(metadata)).toBe(options);
  expect(breakerInMetadata({ istio: {} })).toBeUndefined();
});

test('what is no number or text is left to the defaults', () => {
  const options = breakerInMetadata({
    'inmesh.failure_rate_breaker': { windowMs: 'x', fallback: { status: '1' } },
  });
  expect(options).toEqual({ scope: 'cluster' });
});
