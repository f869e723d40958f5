import { describe, expect, test } from 'vitest';
import { compileFor } from '../../../../src/control-plane/files/compile-for.js';
import type { HttpFilter } from '../../../../src/model/filter-config.js';
import { compile, nodeOf, service } from './mesh.js';

const HOST = 'a.default.svc.cluster.local';

const own = (kind: string, name: string, spec: string, namespace = 'default') => `---
apiVersion: inmesh.dev/v1
kind: ${kind}
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
`;

const WEB = { service: 'web', address: '10.0.0.1', port: 80, portName: '', tlsMode: 'istio' as const };

/** The filters of what a workload serves, and those of its calls to a host. */
function filters(text: string, node = nodeOf({ INMESH_WORKLOADS: [WEB] })) {
  const set = compile(service('a', 80) + text, [], node);
  const served = set.listenerOf('xds.istio.io/grpc/lds/inbound/10.0.0.1:80');
  const chain = served?.kind === 'inbound' ? served.filterChains[0] : undefined;
  const sent = set.listeners.get(`${HOST}:80`);
  const limits = (all: readonly HttpFilter[] = []) => all.filter(({ name }) => name.startsWith('inmesh.'));
  return {
    served: limits(chain !== undefined && 'http' in chain ? chain.http?.filters : []),
    sent: limits(sent?.kind === 'outbound' ? sent.http.filters : []),
  };
}

describe('RateLimitPolicy', () => {
  test('counts what a workload serves by rule, match and caller', () => {
    const { served, sent } = filters(
      own(
        'RateLimitPolicy',
        'p',
        '{selector: {matchLabels: {app: web}}, status: 503, rules: [{name: r, match: {uri: {exact: /x}, method: {exact: POST}}, by: [{header: X-User}, {remoteAddress: true}], limit: {requests: 10, per: 1m, burst: 20}}]}',
      ),
    );
    expect(sent).toEqual([]);
    expect(served).toEqual([
      {
        name: 'inmesh.rate_limit_policy.default.p',
        config: expect.objectContaining({
          kind: 'local-rate-limit',
          status: 503,
          descriptors: [
            {
              entries: [
                { key: 'rule', value: 'r' },
                { key: 'headers', value: 'true' },
                { key: 'header:x-user', value: '' },
                { key: 'remote_address', value: '' },
              ],
              bucket: { maxTokens: 20, tokensPerFill: 10, fillIntervalMs: 60_000 },
              shadow: false,
            },
          ],
        }),
      },
    ]);
  });

  test('is for other workloads, ports and hosts where it says so', () => {
    const rules = 'rules: [{limit: {requests: 1, per: 1s}}]';
    expect(
      filters(own('RateLimitPolicy', 'p', `{selector: {matchLabels: {app: no}}, ${rules}}`)).served,
    ).toEqual([]);
    expect(filters(own('RateLimitPolicy', 'p', `{ports: [81], ${rules}}`)).served).toEqual([]);
    const root = own('RateLimitPolicy', 'p', `{${rules}}`, 'istio-system');
    const near = own('RateLimitPolicy', 'q', `{ports: [80], ${rules}}`);
    expect(filters(near + root).served.map(({ name }) => name)).toEqual([
      'inmesh.rate_limit_policy.istio-system.p',
      'inmesh.rate_limit_policy.default.q',
    ]);
    expect(filters(own('RateLimitPolicy', 'p', `{host: a, ${rules}}`))).toMatchObject({
      served: [],
      sent: [{}],
    });
    expect(
      filters(own('RateLimitPolicy', 'p', `{host: ${HOST}, exportTo: [.], ${rules}}`, 'other')).sent,
    ).toEqual([]);
  });

  test('goes out in a form that Envoys and members read', () => {
    const text =
      service('a', 80) +
      own(
        'RateLimitPolicy',
        'p',
        '{host: a, rules: [{by: [{queryParameter: t}], limit: {requests: 1, per: 1s}}]}',
      );
    const result = compileFor({ files: [{ file: 'a.yaml', content: text }] }, { profile: 'sdk' });
    expect(result.accepted && JSON.stringify(result.resources.listeners)).toContain(
      'inmesh.rate_limit_policy.default.p',
    );
  });
});

describe('Quota', () => {
  test('asks a service with its own descriptors', () => {
    const { served } = filters(
      own(
        'Quota',
        'q',
        '{service: {host: a, port: 80}, domain: shop, failOpen: false, descriptors: [{match: {uri: {prefix: /x}}, entries: [{key: path, value: x}, {key: user, header: x-user}]}]}',
      ),
    );
    expect(served[0]?.config).toMatchObject({
      kind: 'global-rate-limit',
      domain: 'shop',
      failureModeDeny: true,
      service: { cluster: `outbound|80||${HOST}` },
      rateLimits: [
        {
          actions: [
            { kind: 'header-value-match', key: 'path', value: 'x', headers: [{ name: ':path' }] },
            { kind: 'request-header', key: 'user', name: 'x-user' },
          ],
        },
      ],
    });
  });
});

describe('FailureRateBreaker', () => {
  const breaker = (text: string, node = nodeOf()) =>
    compile(service('a', 80) + text, [], node).clusters.get(`outbound|80||${HOST}`)?.metadata[
      'inmesh.failure_rate_breaker'
    ];

  test('is in the metadata of the cluster, with defaults; what says more goes first', () => {
    const plain = own('FailureRateBreaker', 'p', '{host: a}');
    expect(breaker(plain)).toEqual({
      scope: 'cluster',
      errorThresholdPercentage: 50,
      minimumRequests: 20,
      windowMs: 10_000,
      resetTimeoutMs: 30_000,
    });
    const port = own(
      'FailureRateBreaker',
      'q',
      '{host: a, port: 80, scope: ENDPOINT, window: 5s, fallback: {status: 200}}',
    );
    expect(breaker(plain + port)).toMatchObject({
      scope: 'host',
      windowMs: 5000,
      fallback: { status: 200, body: '' },
    });
    expect(breaker(own('FailureRateBreaker', 'p', '{host: a, port: 81}'))).toBeUndefined();
    expect(breaker(plain, nodeOf({ GENERATOR: 'grpc' }))).toBeUndefined();
  });
});
