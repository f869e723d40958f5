import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CheckFailure, CheckState, fail, pass } from '../../../../src/cluster/health/state.js';
import { host } from '../fixtures.js';

const THRESHOLDS = { unhealthyThreshold: 3, healthyThreshold: 2 };

function healthy(): CheckState {
  const state = new CheckState();
  pass(state, false, THRESHOLDS);
  return state;
}

describe('the state of a checked host', () => {
  test('starts failed; the first good result is enough', () => {
    const state = new CheckState();
    expect(state.failed).toBe(true);
    expect(pass(state, false, THRESHOLDS)).toBe('changed');
    expect(state.failed).toBe(false);
  });

  test('needs the healthy threshold when the first result was bad', () => {
    const state = new CheckState();
    expect(fail(state, 'NETWORK', false, THRESHOLDS)).toBe('unchanged');
    expect(pass(state, false, THRESHOLDS)).toBe('pending');
    expect(state.failed).toBe(true);
    expect(pass(state, false, THRESHOLDS)).toBe('changed');
    expect(state.failed).toBe(false);
  });

  test.each<[CheckFailure, boolean]>([
    ['NETWORK', false],
    ['NETWORK_TIMEOUT', false],
    ['ACTIVE', true],
  ])('%s failures (retriable: %s) are counted up to the threshold', (failure, isRetriable) => {
    const state = healthy();
    expect(fail(state, failure, isRetriable, THRESHOLDS)).toBe('pending');
    expect(fail(state, failure, isRetriable, THRESHOLDS)).toBe('pending');
    expect(state.failed).toBe(false);
    expect(fail(state, failure, isRetriable, THRESHOLDS)).toBe('changed');
    expect(state.failed).toBe(true);
    expect(state.timedOut).toBe(failure === 'NETWORK_TIMEOUT');
  });

  test.each<CheckFailure>(['ACTIVE', 'PASSIVE'])('a %s failure fails it at once', (failure) => {
    const state = healthy();
    expect(fail(state, failure, false, THRESHOLDS)).toBe('changed');
    expect(state.failed).toBe(true);
  });

  test('a pass in between starts the count of failures anew', () => {
    const state = healthy();
    fail(state, 'NETWORK', false, THRESHOLDS);
    fail(state, 'NETWORK', false, THRESHOLDS);
    expect(pass(state, false, THRESHOLDS)).toBe('unchanged');
    fail(state, 'NETWORK', false, THRESHOLDS);
    fail(state, 'NETWORK', false, THRESHOLDS);
    expect(state.failed).toBe(false);
  });

  test('a host that was waited for enters the totals with its first result, good or bad', () => {
    const good = new CheckState();
    good.pending = true;
    expect(pass(good, false, THRESHOLDS)).toBe('changed');
    expect(good.pending).toBe(false);
    const bad = new CheckState();
    bad.pending = true;
    expect(fail(bad, 'NETWORK', false, THRESHOLDS)).toBe('changed');
    expect(bad).toMatchObject({ pending: false, failed: true });
  });

  test('what was taken over holds until the first result, which alone decides', () => {
    const state = new CheckState();
    Object.assign(state, { failed: false, provisional: true });
    expect(fail(state, 'NETWORK', false, THRESHOLDS)).toBe('changed');
    expect(state.failed).toBe(true);
  });

  test('degradation changes the host without a threshold', () => {
    const state = healthy();
    expect(pass(state, true, THRESHOLDS)).toBe('changed');
    expect(state.degraded).toBe(true);
    expect(pass(state, true, THRESHOLDS)).toBe('unchanged');
    expect(pass(state, false, THRESHOLDS)).toBe('changed');
  });

  test('is the naive reading of the rules for any sequence of results', () => {
    const result = fc.constantFrom<'pass' | CheckFailure>('pass', 'ACTIVE', 'NETWORK', 'NETWORK_TIMEOUT');
    const thresholds = fc.record({
      unhealthyThreshold: fc.integer({ min: 1, max: 4 }),
      healthyThreshold: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(result, { maxLength: 40 }), thresholds, (results, limits) => {
        const state = new CheckState();
        results.forEach((one, index) => {
          if (one === 'pass') pass(state, false, limits);
          else fail(state, one, false, limits);
          expect(state.failed).toBe(isFailed(results.slice(0, index + 1), limits));
        });
      }),
    );
  });
});

/** Looks back over all results: the last decisive one counts. */
function isFailed(results: readonly string[], limits: typeof THRESHOLDS): boolean {
  let failed = true;
  let run = 0;
  let last = '';
  results.forEach((one, index) => {
    const kind = one === 'pass' ? 'pass' : 'fail';
    run = kind === last ? run + 1 : 1;
    last = kind;
    if (kind === 'pass') {
      if (failed && (index === 0 || run === limits.healthyThreshold)) failed = false;
    } else if (!failed) {
      // Failures that count since the last pass.
      if (one === 'ACTIVE' || run === limits.unhealthyThreshold) failed = true;
    }
  });
  return failed;
}

describe('the health of a host', () => {
  test('is healthy only when nothing is held against it', () => {
    const bits = fc.record({
      failed: fc.boolean(),
      degraded: fc.boolean(),
      pending: fc.boolean(),
      excluded: fc.boolean(),
      ejected: fc.boolean(),
      outlierDegraded: fc.boolean(),
      health: fc.constantFrom('unknown', 'healthy', 'unhealthy', 'draining', 'timeout', 'degraded'),
    });
    fc.assert(
      fc.property(bits, ({ failed, degraded, pending, excluded, ejected, outlierDegraded, health }) => {
        const subject = host('a', { health });
        subject.check = Object.assign(new CheckState(), { failed, degraded, pending, excluded });
        subject.ejected = ejected;
        subject.outlierDegraded = outlierDegraded;
        const isUnhealthy = failed || ejected || ['unhealthy', 'draining', 'timeout'].includes(health);
        const isDegraded = degraded || outlierDegraded || health === 'degraded';
        expect(subject.health).toBe(isUnhealthy ? 'unhealthy' : isDegraded ? 'degraded' : 'healthy');
        expect(subject.isExcluded).toBe(pending || excluded || health === 'draining');
      }),
    );
  });
});
