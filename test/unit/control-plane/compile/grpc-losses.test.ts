import { describe, expect, test } from 'vitest';
import { grpcLosses } from '../../../../src/control-plane/compile/grpc/losses.js';
import { createLossReport } from '../../../../src/control-plane/compile/grpc/report-losses.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { networking, service, viewOf } from './mesh.js';

const lossesOf = (text: string) =>
  grpcLosses(viewOf(service('reviews') + text)).map(({ message }) => message);

describe('what gRPC clients do not follow', () => {
  test('is told by the field and its document', () => {
    const text = networking(
      'VirtualService',
      'r',
      'hosts: [reviews]\nhttp:\n- timeout: 1s\n  rewrite: { uri: /x }\n  route: [{ destination: { host: reviews } }]',
    );
    expect(lossesOf(text)).toEqual([
      'spec.http[0].rewrite of VirtualService default/r has no effect on gRPC clients',
    ]);
  });

  test('is told with what happens instead', () => {
    const text = networking(
      'DestinationRule',
      'r',
      'host: reviews\nsubsets:\n- name: a\n  trafficPolicy: { loadBalancer: { simple: RANDOM } }',
    );
    expect(lossesOf(text)).toEqual([
      'spec.subsets[0].trafficPolicy.loadBalancer.simple of DestinationRule default/r has another effect on gRPC clients: round robin is used',
    ]);
  });

  test('is not told of what they do follow', () => {
    const rule = networking(
      'VirtualService',
      'r',
      'hosts: [reviews]\nhttp:\n- timeout: 1s\n  retries: { attempts: 2, retryOn: "unavailable,cancelled" }\n  fault: { abort: { httpStatus: 503, percentage: { value: 1 } } }\n  route: [{ destination: { host: reviews } }]',
    );
    const policy = networking(
      'DestinationRule',
      'r',
      'host: reviews\ntrafficPolicy:\n  loadBalancer: { consistentHash: { httpHeaderName: user } }\n  connectionPool: { http: { http2MaxRequests: 3 } }\n  tls: { mode: ISTIO_MUTUAL }',
    );
    expect(lossesOf(rule + policy)).toEqual([]);
  });

  test('is reported once, and again when it was gone', () => {
    const lines: string[] = [];
    const report = createLossReport({ ...silentLogger, warn: (_, message) => lines.push(message) });
    const lossy = () =>
      viewOf(
        service('reviews') +
          networking('DestinationRule', 'r', 'host: reviews\ntrafficPolicy: { outlierDetection: {} }'),
      );
    report(lossy());
    report(lossy());
    expect(lines).toHaveLength(1);
    report(viewOf(''));
    report(lossy());
    expect(lines).toHaveLength(2);
  });
});
