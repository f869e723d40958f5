import { expect, test } from 'vitest';
import { LISTENER } from '../../../../src/codec/resource-types.js';
import { compile, networking, nodeOf } from './mesh.js';

// TLS with certificates of a Sidecar, as servers of members end it.

const NAME = 'xds.istio.io/grpc/lds/inbound/0.0.0.0:6000';
const node = nodeOf({
  LABELS: { app: 'cart' },
  INMESH_WORKLOADS: [{ service: 'cart', address: '0.0.0.0', port: 6000, portName: 'p', tlsMode: 'istio' }],
});

function chainsOf(mode: string, tls: string) {
  const text =
    networking('PeerAuthentication', 'own', `mtls: {mode: ${mode}}`) +
    networking(
      'Sidecar',
      'own',
      `workloadSelector: {labels: {app: cart}}\ningress: [{port: {number: 6000, protocol: HTTPS, name: p}, tls: {${tls}, serverCertificate: /c.pem, privateKey: /k.pem}}]`,
    );
  const set = compile(text, [], node);
  const listener = set.listenerOf(NAME);
  if (listener === undefined) throw new Error('no listener');
  const { resource } = LISTENER.decode(set.encoders.listener(listener));
  return resource.kind === 'inbound' ? resource.filterChains : [];
}

const certificate = {
  chain: { kind: 'file', path: '/c.pem' },
  key: { kind: 'file', path: '/k.pem' },
};

test('where the mesh ends no TLS, that is all a port takes', () => {
  const [chain, ...more] = chainsOf('DISABLE', 'mode: SIMPLE, minProtocolVersion: TLSV1_3');
  expect(more).toEqual([]);
  expect(chain).toMatchObject({
    transportProtocol: 'tls',
    tls: { requireClientCertificate: false, certificate, alpn: ['h2', 'http/1.1'], minVersion: 'TLSv1.3' },
  });
  expect(chain?.tls?.clients).toBeUndefined();
});

test.each([
  ['MUTUAL', true],
  ['OPTIONAL_MUTUAL', false],
])('clients are known by the roots of the Sidecar: %s', (mode, requireClientCertificate) => {
  const [chain] = chainsOf('DISABLE', `mode: ${mode}, caCertificates: /ca.pem`);
  expect(chain?.tls).toMatchObject({
    requireClientCertificate,
    certificate,
    clients: { roots: { kind: 'file', path: '/ca.pem' } },
  });
});

test.each(['STRICT', 'PERMISSIVE'])('elsewhere the TLS of the mesh goes before it: %s', (mode) => {
  for (const { tls } of chainsOf(mode, 'mode: SIMPLE')) expect(tls?.certificate).toBeUndefined();
  expect(chainsOf(mode, 'mode: SIMPLE')[0]?.tls?.requireClientCertificate).toBe(true);
});
