import { describe, expect, test } from 'vitest';
import { retryLimits } from '../../../../src/bindings/grpc/retry-config.js';
import { methodSettings } from '../../../../src/bindings/grpc/service-config.js';

const RETRY = {
  maxAttempts: 3,
  initialBackoff: '0.1s',
  maxBackoff: '1s',
  backoffMultiplier: 2,
  retryableStatusCodes: ['unavailable', 8],
};

function settings(policy: object, rest: object = {}, options = {}) {
  const text = JSON.stringify({ methodConfig: [{ name: [{}], ...policy }], ...rest });
  return methodSettings(text, retryLimits(options))('/a.B/C').retry;
}

describe('retries in a service config', () => {
  test('are read with names and numbers of statuses', () => {
    expect(settings({ retryPolicy: RETRY })).toEqual({
      kind: 'retry',
      maxAttempts: 3,
      statuses: new Set([14, 8]),
      backoff: { initialMs: 100, maxMs: 1000, multiplier: 2 },
      hedgingDelayMs: 0,
      throttle: undefined,
    });
  });

  test('hedging, whose delay and statuses may be missing', () => {
    expect(settings({ hedgingPolicy: { maxAttempts: 2 } })).toMatchObject({
      kind: 'hedge',
      maxAttempts: 2,
      statuses: new Set(),
      hedgingDelayMs: 0,
    });
  });

  test('no more than five attempts, or what the option says; none when retries are off', () => {
    const many = { retryPolicy: { ...RETRY, maxAttempts: 50 } };
    expect(settings(many)?.maxAttempts).toBe(5);
    expect(settings(many, {}, { 'grpc-node.retry_max_attempts_limit': 8 })?.maxAttempts).toBe(8);
    expect(settings(many, {}, { 'grpc.enable_retries': 0 })).toBeUndefined();
  });

  test('the throttle is one for all methods', () => {
    const throttling = { retryThrottling: { maxTokens: 10, tokenRatio: 0.1 } };
    const methodConfig = [
      { name: [{ service: 'a' }], retryPolicy: RETRY },
      { name: [{ service: 'b' }], hedgingPolicy: { maxAttempts: 2 } },
    ];
    const of = methodSettings(JSON.stringify({ methodConfig, ...throttling }));
    expect(of('/a/X').retry?.throttle).toBeDefined();
    expect(of('/a/X').retry?.throttle).toBe(of('/b/Y').retry?.throttle);
  });

  test.each([
    ['both', { retryPolicy: RETRY, hedgingPolicy: { maxAttempts: 2 } }, {}],
    ['one attempt', { retryPolicy: { ...RETRY, maxAttempts: 1 } }, {}],
    ['half an attempt', { hedgingPolicy: { maxAttempts: 2.5 } }, {}],
    ['no wait', { retryPolicy: { ...RETRY, initialBackoff: '0s' } }, {}],
    ['a wait that is none', { retryPolicy: { ...RETRY, maxBackoff: '1' } }, {}],
    ['no growth', { retryPolicy: { ...RETRY, backoffMultiplier: 0 } }, {}],
    ['no statuses', { retryPolicy: { ...RETRY, retryableStatusCodes: [] } }, {}],
    ['a status that is none', { retryPolicy: { ...RETRY, retryableStatusCodes: ['BROKEN'] } }, {}],
    ['a number that is no status', { hedgingPolicy: { maxAttempts: 2, nonFatalStatusCodes: [17] } }, {}],
    ['too many tokens', {}, { retryThrottling: { maxTokens: 1001, tokenRatio: 1 } }],
    ['a ratio of nothing', {}, { retryThrottling: { maxTokens: 1, tokenRatio: 0.0001 } }],
  ])('%s is refused', (_what, policy, rest) => {
    expect(() => settings(policy, rest)).toThrow('grpc.service_config');
  });
});
