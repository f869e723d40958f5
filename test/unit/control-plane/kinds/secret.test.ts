import { inspect } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { createTestCa, type TestCa } from '../../../../src/testing/test-ca.js';
import { complaintsAbout, newStore, violationsOf } from '../load.js';

let ca: TestCa;

beforeAll(async () => {
  ca = await createTestCa();
});

const encoded = (text: string) => Buffer.from(text).toString('base64');

function pair(): { readonly cert: string; readonly key: string } {
  const { pem, privateKey } = ca.certificate('default', { names: { dnsNames: ['a.example'] } });
  return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function secret(content: object, name = 'edge'): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, ...content }, null, 2);
}

const tls = (cert: string, key: string) =>
  secret({ type: 'kubernetes.io/tls', data: { 'tls.crt': encoded(cert), 'tls.key': encoded(key) } });

/** Without the place. */
const about = (text: string) => complaintsAbout(text).map((one) => one.replace(/^\d+:\d+ /, ''));

describe('a Secret', () => {
  test('of a certificate with its key is taken, and one of other things is not looked into', () => {
    const { cert, key } = pair();
    expect(about(tls(cert, key))).toEqual([]);
    expect(about(secret({ type: 'Opaque', data: { password: encoded('x') }, immutable: true }))).toEqual([]);
    expect(about(secret({ stringData: { cert, key, cacert: ca.bundle.authorities.join('') } }))).toEqual([]);
  });

  test('of the type for TLS holds both, they belong together, and both can be read', () => {
    const [one, other] = [pair(), pair()];
    expect(about(secret({ type: 'kubernetes.io/tls', data: { 'tls.crt': encoded(one.cert) } }))).toEqual([
      'error INMESH_CONFIG_INVALID a Secret of type kubernetes.io/tls needs tls.key',
    ]);
    expect(about(tls(one.cert, other.key))).toEqual([
      'error INMESH_CONFIG_INVALID it is not the key of the certificate',
    ]);
    expect(about(tls('no certificate', one.key))).toEqual([
      'error INMESH_CONFIG_INVALID it is no chain of certificates (PEM)',
    ]);
    expect(about(tls(one.cert, 'no key'))).toEqual([
      'error INMESH_CONFIG_INVALID it is no private key (PEM, not encrypted)',
    ]);
  });

  test('is only odd when the names of another type hold something else', () => {
    expect(about(secret({ data: { key: encoded('of a piano') } }))).toEqual([
      'warning INMESH_CONFIG_INVALID it is no private key (PEM, not encrypted)',
    ]);
  });

  test.each([
    [{ data: { 'tls.key': 'CANARY!' } }, 'error INMESH_CONFIG_INVALID tls.key is not base64'],
    [{ data: { 'tls.key': ['CANARY'] } }, 'error INMESH_CONFIG_INVALID tls.key must be text'],
    [{ data: 'CANARY' }, undefined],
    [{ type: ['CANARY'] }, undefined],
  ])('is never quoted in a complaint (%j)', (content, complaint) => {
    const text = secret(content);
    const violations = violationsOf(text);
    expect(violations.length).toBeGreaterThan(0);
    expect(JSON.stringify(violations.map(({ excerpt }) => excerpt))).not.toContain('CANARY');
    if (complaint !== undefined) {
      expect(about(text).join()).toContain(complaint);
      expect(JSON.stringify(violations)).not.toContain('CANARY');
    }
  });

  test('is not quoted either where the file is too broken to tell what is in it', () => {
    const [violation] = violationsOf('kind: Secret\ndata:\n  a: CANARY\n b: [');
    expect(violation?.code).toBe('INMESH_CONFIG_SYNTAX');
    expect(violation?.excerpt).toBeUndefined();
  });

  test('shows its names and nothing else, however it is printed', () => {
    const store = newStore();
    const { cert, key } = pair();
    store.propose('files', { files: [{ file: 'a.yaml', content: tls(cert, key) }] });
    const [document] = store.current.value.list('Secret');
    for (const shown of [
      JSON.stringify(document),
      inspect(document, { depth: 9 }),
      String(document?.spec.data?.['tls.key']),
    ]) {
      expect(shown).not.toContain(encoded(key));
      expect(shown).not.toContain(encoded(cert));
    }
    expect(JSON.stringify(document)).toContain('tls.key');
  });
});

test('a credentialName without a Secret is odd', () => {
  const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: a }
spec: { host: a, trafficPolicy: { tls: { mode: SIMPLE, credentialName: edge } } }
`;
  expect(about(rule)).toEqual(['warning INMESH_CONFIG_REFERENCE there is no Secret "edge"']);
  expect(about(`${rule}---\n${secret({})}`)).toEqual([]);
  expect(about(`${rule}---\n${secret({}, 'edge-cacert')}`)).toEqual([]);
});
