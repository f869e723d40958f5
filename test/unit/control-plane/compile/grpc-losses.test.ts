import { describe, expect, test } from 'vitest';
import { grpcLosses } from '../../../../src/control-plane/compile/grpc/losses.js';
import { createLossReport } from '../../../../src/control-plane/compile/grpc/report-losses.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { networking, service, viewOf } from './mesh.js';

const lossesOf = (text: string) =>
  grpcLosses(viewOf(service('reviews') + text)).map(({ message }) => message);

const security = (kind: string, spec: string) => `---
apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { name: p, namespace: default }
spec:
${spec.replace(/^/gm, '  ')}
`;

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

  const ingressWith = (tls: string) =>
    networking(
      'Sidecar',
      'r',
      `ingress: [{ port: { number: 6000, protocol: HTTPS, name: p }, ${tls} }, { port: { number: 6001, protocol: HTTP, name: q } }]`,
    );

  test.each(['SIMPLE', 'MUTUAL, caCertificates: /ca.pem'])('is told of the TLS of ports: %s', (mode) => {
    const text = ingressWith(`tls: { serverCertificate: /c.pem, privateKey: /k.pem, mode: ${mode} }`);
    expect(lossesOf(text)).toEqual([
      "spec.ingress[0].tls of Sidecar default/r has another effect on gRPC clients: gRPC's own servers are told plaintext where mTLS is off",
    ]);
  });

  test('is not told of ports whose TLS nobody ends', () => {
    expect(lossesOf(ingressWith('defaultEndpoint: 127.0.0.1:6000'))).toEqual([]);
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

  test.each([
    [
      'rules: [{ from: [{ source: { requestPrincipals: ["*"], principals: [a] } }] }]',
      'spec.rules[0].from[0].source.requestPrincipals',
      'the rule allows nobody',
    ],
    [
      'action: DENY\nrules: [{ to: [{ operation: { paths: [/a, "/b/{*}"] } }] }]',
      'spec.rules[0].to[0].operation.paths[1]',
      'the rule denies by its other fields alone, which is more',
    ],
    [
      'rules: [{ when: [{ key: "request.auth.claims[iss]", values: [a] }] }]',
      'spec.rules[0].when[0].key',
      'the rule allows nobody',
    ],
    [
      'action: DENY\nrules: [{ when: [{ key: "request.headers[grpc-timeout]", values: [1S] }] }]',
      'spec.rules[0].when[0].key',
      'the rule denies by its other fields alone, which is more',
    ],
    [
      'rules: [{ from: [{ source: { remoteIpBlocks: [10.0.0.0/8] } }] }]',
      'spec.rules[0].from[0].source.remoteIpBlocks',
      'the address of the connection counts, not what headers say',
    ],
    [
      'action: CUSTOM\nprovider: { name: one }\nrules: [{}]',
      'spec.action',
      'the provider is not asked, and what the rules match is refused',
    ],
    ['action: AUDIT\nrules: [{}]', 'spec.action', 'nothing is logged'],
  ])('is told of authorization: %s', (spec, path, instead) => {
    expect(lossesOf(security('AuthorizationPolicy', spec))).toEqual([
      `${path} of AuthorizationPolicy default/p has another effect on gRPC's own servers: ${instead}`,
    ]);
  });

  test('is not told of authorization that they carry out', () => {
    const spec = `rules:
- from: [{ source: { principals: [cluster.local/ns/a/sa/b], namespaces: [a], ipBlocks: [10.0.0.0/8] } }]
  to: [{ operation: { paths: [/a.B/*], methods: [POST], hosts: [x], ports: ["80"] } }]
  when: [{ key: "request.headers[x-team]", values: [red] }]`;
    expect(lossesOf(security('AuthorizationPolicy', spec))).toEqual([]);
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
