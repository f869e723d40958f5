import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { decodeLocalRateLimit, encodeLocalRateLimit } from '../../../src/codec/local-rate-limit.js';
import { rootPath } from '../../../src/codec/path.js';
import { httpLocalRateLimit as filter } from '../../../src/proto/xds.js';

const custom = { find: () => undefined, knowsLocalCluster: true };

function shared(perConnection = false) {
  return create(filter.LocalRateLimitSchema, {
    statPrefix: 's',
    localClusterRateLimit: {},
    localRateLimitPerDownstreamConnection: perConnection,
  });
}

test('buckets are shared where the local cluster is known', () => {
  const config = decodeLocalRateLimit(shared(), rootPath('LDS l', custom));
  expect(config.localClusterShare).toBe(true);
  expect(decodeLocalRateLimit(encodeLocalRateLimit(config), rootPath('LDS l', custom))).toEqual(config);
});

test('nothing is shared with nobody knows whom, nor by single connections (Envoy)', () => {
  expect(() => decodeLocalRateLimit(shared(), rootPath('LDS l'))).toThrow(
    'local_cluster_rate_limit: needs a local cluster',
  );
  expect(() => decodeLocalRateLimit(shared(true), rootPath('LDS l', custom))).toThrow(
    'local_rate_limit_per_downstream_connection',
  );
});
