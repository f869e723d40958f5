import { describe, expect, test } from 'vitest';
import { compile, networking, nodeOf } from './mesh.js';

const peer = (name: string, spec: string, namespace = 'default') =>
  networking('PeerAuthentication', name, spec, namespace);
const mesh = (mode: string) => peer('mesh', `mtls: { mode: ${mode} }`, 'istio-system');
const namespaced = (mode: string) => peer('namespace', `mtls: { mode: ${mode} }`);
const workload = (spec: string) => peer('workload', `selector: { matchLabels: { app: reviews } }\n${spec}`);

function chainsOf(text: string, port = 4001, protocol?: 'tcp') {
  const workload = {
    service: 'reviews',
    address: '127.0.0.1',
    port,
    portName: '',
    tlsMode: 'istio',
  } as const;
  const served = protocol === undefined ? workload : { ...workload, protocol };
  const node = nodeOf({ LABELS: { app: 'reviews' }, INMESH_WORKLOADS: [served] });
  const listener = compile(text, [], node).listenerOf(`xds.istio.io/grpc/lds/inbound/127.0.0.1:${port}`);
  return listener?.kind === 'inbound' ? listener.filterChains : [];
}

const modeOf = (text: string, port?: number) => {
  const chains = chainsOf(text, port);
  const tls = chains.some((chain) => chain.tls !== undefined);
  const plaintext = chains.some((chain) => chain.tls === undefined);
  return tls ? (plaintext ? 'PERMISSIVE' : 'STRICT') : plaintext ? 'DISABLE' : 'none';
};

describe('the mode of a port', () => {
  test.each([
    ['nothing says anything', '', 'PERMISSIVE'],
    ['the mesh decides', mesh('STRICT'), 'STRICT'],
    ['the namespace goes before the mesh', mesh('STRICT') + namespaced('DISABLE'), 'DISABLE'],
    [
      'the workload goes before the namespace',
      namespaced('STRICT') + workload('mtls: { mode: PERMISSIVE }'),
      'PERMISSIVE',
    ],
    ['UNSET inherits', mesh('STRICT') + namespaced('UNSET') + workload('mtls: {}'), 'STRICT'],
    [
      'the oldest of a scope wins',
      namespaced('STRICT') + peer('younger', 'mtls: { mode: DISABLE }'),
      'STRICT',
    ],
    ['another namespace does not matter', peer('other', 'mtls: { mode: STRICT }', 'other'), 'PERMISSIVE'],
    [
      'a selector of others does not matter',
      workload('mtls: { mode: STRICT }').replace('app: reviews', 'app: x'),
      'PERMISSIVE',
    ],
    [
      'a selector in the root namespace has no effect',
      namespaced('UNSET') +
        peer('root', 'selector: { matchLabels: { app: reviews } }\nmtls: { mode: STRICT }', 'istio-system'),
      'PERMISSIVE',
    ],
    ['a namespace that says UNSET leaves it to the mesh', mesh('STRICT') + namespaced('UNSET'), 'STRICT'],
  ])('%s', (_, text, expected) => {
    expect(modeOf(text)).toBe(expected);
  });

  test('one port of a workload may differ', () => {
    const text = workload('mtls: { mode: STRICT }\nportLevelMtls: { "4002": { mode: DISABLE } }');
    expect(modeOf(text, 4001)).toBe('STRICT');
    expect(modeOf(text, 4002)).toBe('DISABLE');
  });

  test('a port that says UNSET is like the others of the workload', () => {
    const text = workload('mtls: { mode: STRICT }\nportLevelMtls: { "4002": { mode: UNSET } }');
    expect(modeOf(mesh('DISABLE') + text, 4002)).toBe('STRICT');
  });
});

test('clients must show a certificate, and every request goes to the application', () => {
  const [mutual, plaintext] = chainsOf('');
  expect(mutual).toMatchObject({ transportProtocol: 'tls', tls: { requireClientCertificate: true } });
  expect(plaintext).toMatchObject({ transportProtocol: 'raw_buffer', tls: undefined });
  expect(mutual?.http?.routes).toMatchObject({
    kind: 'inline',
    config: { virtualHosts: [{ domains: ['*'], routes: [{ action: { kind: 'non-forwarding' } }] }] },
  });
});

describe('a port of any protocol', () => {
  const shapeOf = (mode: string) =>
    chainsOf(mesh(mode), 4001, 'tcp').map(({ name, transportProtocol, match }) => [
      name,
      transportProtocol,
      match?.applicationProtocols,
    ]);
  const ISTIO = ['istio-peer-exchange', 'istio', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2'];

  test.each([
    ['STRICT', [['inbound-mtls', 'tls', undefined]]],
    [
      'PERMISSIVE',
      [
        ['inbound-mtls', 'tls', ISTIO],
        ['inbound-tls', 'tls', undefined],
        ['inbound-plaintext', 'raw_buffer', undefined],
      ],
    ],
    ['DISABLE', [['inbound-plaintext', '', undefined]]],
  ])('%s: clients of the mesh are known by ALPN where other TLS is let through', (mode, chains) => {
    expect(shapeOf(mode)).toEqual(chains);
  });
});
