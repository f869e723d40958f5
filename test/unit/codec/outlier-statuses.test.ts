import { describe, expect, test } from 'vitest';
import { CLUSTER } from '../../../src/codec/resource-types.js';
import { clusterWith, decoded, refusal } from './wire.js';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const status = (value: string) => ({
  httpResponseHeadersMatch: { headers: [{ name: ':status', stringMatch: { exact: value } }] },
});

const clusterOf = (errorMatcher: object) =>
  clusterWith({
    typedExtensionProtocolOptions: {
      [OPTIONS]: { '@type': `type.googleapis.com/${OPTIONS}`, outlierDetection: { errorMatcher } },
    },
  } as never);

describe('the statuses that outlier detection counts', () => {
  test.each([
    ['one', status('429'), [429]],
    ['several', { orMatch: { rules: [status('429'), status('503')] } }, [429, 503]],
    ['one twice', { orMatch: { rules: [status('429'), status('429')] } }, [429]],
    [
      'by the older field',
      { httpResponseHeadersMatch: { headers: [{ name: ':status', exactMatch: '404' }] } },
      [404],
    ],
  ])('%s', (_, matcher, statuses) => {
    expect(decoded(CLUSTER, clusterOf(matcher))).toMatchObject({ outlierStatuses: statuses });
  });

  test.each([
    [
      'another header',
      { httpResponseHeadersMatch: { headers: [{ name: 'x', stringMatch: { exact: '429' } }] } },
    ],
    ['no status', status('42')],
    ['a negation', { notMatch: status('200') }],
    [
      'the request',
      { httpRequestHeadersMatch: { headers: [{ name: ':path', stringMatch: { exact: '/' } }] } },
    ],
    ['two headers at once', { httpResponseHeadersMatch: { headers: [{ name: ':status' }, { name: 'x' }] } }],
  ])('%s is refused', (_, matcher) => {
    expect(refusal(CLUSTER, clusterOf(matcher))).toContain('outlier_detection.error_matcher');
  });

  test('are written as they are read', () => {
    for (const statuses of [[429], [429, 503]]) {
      const cluster = { ...decoded(CLUSTER, clusterOf(status('500'))), outlierStatuses: statuses };
      expect(CLUSTER.decode(CLUSTER.encode(cluster as never)).resource).toMatchObject({
        outlierStatuses: statuses,
      });
    }
  });
});
