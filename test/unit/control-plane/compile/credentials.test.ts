import { fromBinary } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, test } from 'vitest';
import { SECRET } from '../../../../src/codec/secret.js';
import type { ResourceSet } from '../../../../src/control-plane/resources/resource-set.js';
import { listener, tls } from '../../../../src/proto/xds.js';
import { createTestCa, type TestCa } from '../../../../src/testing/test-ca.js';
import { compile, networking, nodeOf } from './mesh.js';

let ca: TestCa;
beforeAll(async () => {
  ca = await createTestCa();
});

function secret(name: string, namespace: string, ...parts: ('pair' | 'roots')[]): string {
  const { pem, privateKey } = ca.certificate('default', { names: { dnsNames: ['a.example'] } });
  const stringData = {
    ...(parts.includes('pair') && {
      'tls.crt': pem,
      'tls.key': privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }),
    ...(parts.includes('roots') && { 'ca.crt': ca.bundle.authorities.join('') }),
  };
  return `---\n${JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData })}\n`;
}

/** Names of the secrets that a client may have, with what they are. */
const kindsOf = ({ secrets }: ResourceSet) =>
  Object.fromEntries(
    [...secrets].map(([name, { bytes }]) => [name, SECRET.decode(bytes).resource.secret.kind]),
  );

describe('the credentialName of a DestinationRule', () => {
  const entry = networking(
    'ServiceEntry',
    'secure',
    'hosts: [secure.example]\nports: [{ number: 443, name: https, protocol: HTTP }]\nresolution: DNS',
  );
  const rule = (mode: string, more = '') =>
    networking(
      'DestinationRule',
      'secure',
      `host: secure.example\ntrafficPolicy: { tls: { mode: ${mode}, credentialName: edge${more} } }`,
    );
  const tlsOf = (text: string) => compile(entry + text).clusters.get('outbound|443||secure.example')?.tls;

  test('SIMPLE takes the roots from it, MUTUAL the certificate, too', () => {
    expect(tlsOf(rule('SIMPLE'))?.secrets).toEqual({ validation: 'kubernetes://edge-cacert' });
    expect(tlsOf(rule('MUTUAL'))?.secrets).toEqual({
      certificate: 'kubernetes://edge',
      validation: 'kubernetes://edge-cacert',
    });
  });

  test('a client has what its clusters name, from its own namespace, and nothing else', () => {
    const text =
      entry +
      rule('MUTUAL') +
      secret('edge', 'default', 'pair', 'roots') +
      secret('other', 'default', 'pair') +
      secret('edge', 'elsewhere', 'pair', 'roots');
    expect(kindsOf(compile(text))).toEqual({
      'kubernetes://edge': 'certificate',
      'kubernetes://edge-cacert': 'validation',
    });
    expect(kindsOf(compile(text, [], nodeOf({ NAMESPACE: 'third' })))).toEqual({});
    expect(kindsOf(compile(entry + rule('SIMPLE') + secret('edge', 'default', 'pair', 'roots')))).toEqual({
      'kubernetes://edge-cacert': 'validation',
    });
  });

  test('roots may stand in a Secret of their own, which goes first', () => {
    const text = entry + rule('SIMPLE') + secret('edge-cacert', 'default', 'roots');
    expect(kindsOf(compile(text))).toEqual({ 'kubernetes://edge-cacert': 'validation' });
    expect(kindsOf(compile(entry + rule('SIMPLE') + secret('edge', 'default', 'pair')))).toEqual({});
  });
});

describe('the credentialName of a Gateway', () => {
  const gateway = (settings: string, protocol = 'HTTPS') =>
    networking(
      'Gateway',
      'edge',
      `selector: { istio: ingress }
servers: [{ port: { number: 443, name: https, protocol: ${protocol} }, hosts: ["*"], tls: { ${settings} } }]`,
    ) +
    networking(
      'VirtualService',
      'edge',
      `hosts: ["*"]\ngateways: [edge]\n${protocol === 'HTTPS' ? 'http' : 'tcp'}: [{ route: [{ destination: { host: a.default.svc.cluster.local } }] }]`,
    );
  const node = nodeOf({ GENERATOR: 'envoy', LABELS: { istio: 'ingress' } });
  const contextOf = ({ wireListeners }: ResourceSet) => {
    const bytes = wireListeners.get('0.0.0.0_443')?.bytes;
    const socket =
      bytes && fromBinary(listener.ListenerSchema, bytes).filterChains[0]?.transportSocket?.configType;
    return socket?.case === 'typedConfig'
      ? fromBinary(tls.DownstreamTlsContextSchema, socket.value.value)
      : undefined;
  };

  test('a server is there as soon as its Secret is', () => {
    const text = gateway('mode: SIMPLE, credentialName: edge');
    expect(contextOf(compile(text, [], node))).toBeUndefined();
    const set = compile(text + secret('edge', 'default', 'pair'), [], node);
    const names = contextOf(set)?.commonTlsContext?.tlsCertificateSdsSecretConfigs.map(({ name }) => name);
    expect(names).toEqual(['kubernetes://edge']);
    expect(kindsOf(set)).toEqual({ 'kubernetes://edge': 'certificate' });
  });

  test('a Secret of another namespace than the gateway’s is none', () => {
    const text = gateway('mode: SIMPLE, credentialName: edge') + secret('edge', 'elsewhere', 'pair');
    expect(contextOf(compile(text, [], node))).toBeUndefined();
  });

  test.each([
    ['MUTUAL', '', true],
    ['OPTIONAL_MUTUAL', '', false],
    ['MUTUAL', ', caCertCredentialName: clients', true],
  ])('mode %s%s verifies clients by roots from SDS', (mode, more, isRequired) => {
    const roots = more === '' ? 'edge' : 'clients';
    const text = gateway(`mode: ${mode}, credentialName: edge, subjectAltNames: [a]${more}`);
    const secrets = secret('edge', 'default', 'pair', 'roots') + secret('clients', 'default', 'roots');
    const set = compile(text + secrets, [], node);
    const context = contextOf(set);
    expect(context?.requireClientCertificate ?? false).toBe(isRequired);
    const validation = context?.commonTlsContext?.validationContextType;
    if (validation?.case !== 'combinedValidationContext') throw new Error(`validation: ${validation?.case}`);
    expect(validation.value.validationContextSdsSecretConfig?.name).toBe(`kubernetes://${roots}-cacert`);
    expect(validation.value.defaultValidationContext?.matchTypedSubjectAltNames.length).toBe(1);
    expect(Object.keys(kindsOf(set)).sort()).toEqual(
      ['kubernetes://edge', `kubernetes://${roots}-cacert`].sort(),
    );
  });

  test('a server whose clients nobody could verify is left out', () => {
    const text = gateway('mode: MUTUAL, credentialName: edge') + secret('edge', 'default', 'pair');
    expect(contextOf(compile(text, [], node))).toBeUndefined();
  });

  test('two certificates are served, and TLS of other protocols ends there, too', () => {
    const text =
      gateway('mode: SIMPLE, credentialNames: [edge, second, third]', 'TLS') +
      ['edge', 'second', 'third'].map((name) => secret(name, 'default', 'pair')).join('');
    const names = contextOf(compile(text, [], node))?.commonTlsContext?.tlsCertificateSdsSecretConfigs;
    expect(names?.map(({ name }) => name)).toEqual(['kubernetes://edge', 'kubernetes://second']);
  });
});
