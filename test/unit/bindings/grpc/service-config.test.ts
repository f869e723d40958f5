import { expect, test } from 'vitest';
import { methodSettings } from '../../../../src/bindings/grpc/service-config.js';

const settings = methodSettings(
  JSON.stringify({
    methodConfig: [
      { name: [{ service: 'pkg.Shop', method: 'Buy' }], timeout: '1.5s', waitForReady: true },
      { name: [{ service: 'pkg.Shop' }], timeout: { seconds: '2', nanos: 500_000_000 } },
      { name: [{}], waitForReady: false },
      { name: [{ service: 'pkg.Shop' }], timeout: '9s' },
    ],
    retryThrottling: { maxTokens: 10, tokenRatio: 0.1 },
  }),
);

test.each([
  ['/pkg.Shop/Buy', 1500, true],
  ['/pkg.Shop/Sell', 2500, undefined],
  ['/pkg.Other/Buy', undefined, false],
] as const)('%s has the settings of its closest name', (path, timeoutMs, waitForReady) => {
  expect(settings(path)).toEqual({ timeoutMs, waitForReady });
});

test('a channel without a service config settles nothing', () => {
  expect(methodSettings(undefined)('/pkg.Shop/Buy')).toEqual({
    timeoutMs: undefined,
    waitForReady: undefined,
  });
});

test.each([
  ['{', 'is no JSON'],
  ['{"methodConfig":{}}', 'methodConfig is no list'],
  ['{"methodConfig":[{"name":[{"service":1}]}]}', 'is no text'],
  ['{"methodConfig":[{"name":[{}],"timeout":"soon"}]}', 'is no duration'],
])('%s is refused in words', (text, words) => {
  expect(() => methodSettings(text)).toThrow(words);
});
