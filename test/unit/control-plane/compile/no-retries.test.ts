import { expect, test } from 'vitest';
import { ROUTE_CONFIGURATION } from '../../../../src/codec/resource-types.js';
import { compileRetry } from '../../../../src/control-plane/compile/retry-policy.js';
import { NO_OVERRIDES } from '../../../../src/model/filter-config.js';
import type { RouteConfiguration } from '../../../../src/model/route.js';
import { forward } from '../../../integration/support/static-mesh.js';

test('attempts: 0 turns retries off, and stays off over the wire', () => {
  const policy = compileRetry({ attempts: 0 });
  expect(policy.retryOn).toEqual([]);
  const config: RouteConfiguration = {
    name: 'r',
    virtualHosts: [
      {
        name: 'v',
        domains: ['*'],
        routes: [forward('c', { retryPolicy: policy })],
        retryPolicy: undefined,
        filterOverrides: NO_OVERRIDES,
        includeRequestAttemptCount: false,
      },
    ],
  };
  const { resource } = ROUTE_CONFIGURATION.decode(ROUTE_CONFIGURATION.encode(config));
  expect(resource).toEqual(config);
});

test('retryRemoteLocalities: every second try goes on to other priorities', () => {
  expect(compileRetry({ attempts: 3, retryRemoteLocalities: true }).previousPriorities).toEqual({
    updateFrequency: 2,
  });
  expect(compileRetry({ attempts: 3 }).previousPriorities).toBeUndefined();
});
