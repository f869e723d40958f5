import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { createCsr, readCsr } from '../../../src/identity/csr.js';
import { contextTag } from '../../../src/identity/der.js';
import { type DerEncoder, loadDerEncoder } from '../../../src/identity/der-encode.js';
import { writePem } from '../../../src/identity/pem.js';
import { istioId } from '../../../src/identity/spiffe-id.js';
import { Oid } from '../../../src/identity/x509.js';
import { withinCpuMs } from '../../vectors/cpu-time.js';

const id = istioId('cluster.local', 'default', 'reviews');
const refused = (text: string) =>
  expect.objectContaining({ code: 'INMESH_CSR_INVALID', message: expect.stringContaining(text) });

let encoder: DerEncoder;
beforeAll(async () => {
  encoder = await loadDerEncoder();
});

interface Parts {
  readonly keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly algorithm?: string;
  readonly hash?: string;
  readonly version?: number;
  readonly signer?: KeyObject;
}

function request({
  keys,
  algorithm = Oid.ecdsaWithSha256,
  hash = 'sha256',
  version = 0,
  signer,
}: Parts): string {
  const info = encoder.sequence(
    encoder.integer(Uint8Array.of(version)),
    encoder.sequence(),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    encoder.tagged(contextTag(0), new Uint8Array()),
  );
  const signature = sign(hash, info, signer ?? keys.privateKey);
  const der = encoder.sequence(info, encoder.sequence(encoder.oid(algorithm)), encoder.bitString(signature));
  return writePem(der, 'CERTIFICATE REQUEST');
}

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

describe('readCsr', () => {
  test('reads the key of a request that was just made', async () => {
    const { csrPem, privateKey } = await createCsr(id);
    const { publicKey } = readCsr(csrPem);
    expect(publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(privateKey.asymmetricKeyType).toBe('ec');
  });

  test('accepts RSA 2048 and P-384 keys', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    expect(readCsr(request({ keys: rsa, algorithm: Oid.sha256WithRsa })).publicKey.asymmetricKeyType).toBe(
      'rsa',
    );
    const signed = request({ keys: p384, algorithm: Oid.ecdsaWithSha384, hash: 'sha384' });
    expect(readCsr(signed).publicKey.asymmetricKeyDetails?.namedCurve).toBe('secp384r1');
  });

  test('a sender that does not hold the key is refused', () => {
    const stolen = request({ keys: p256(), signer: p256().privateKey });
    expect(() => readCsr(stolen)).toThrow(refused('signature is wrong'));
  });

  test('weak keys are refused', () => {
    const rsa1024 = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const exponent3 = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
    const p224 = generateKeyPairSync('ec', { namedCurve: 'secp224r1' });
    const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    expect(() => readCsr(request({ keys: rsa1024, algorithm: Oid.sha256WithRsa }))).toThrow(refused('2048'));
    expect(() => readCsr(request({ keys: exponent3, algorithm: Oid.sha256WithRsa }))).toThrow(
      refused('65537'),
    );
    expect(() => readCsr(request({ keys: p224 }))).toThrow(refused('curve'));
    expect(() => readCsr(request({ keys: koblitz }))).toThrow(refused('curve'));
  });

  test('SHA-1 and an algorithm of another kind of key are refused', () => {
    const sha1 = request({ keys: p256(), algorithm: '1.2.840.10045.4.1', hash: 'sha1' });
    expect(() => readCsr(sha1)).toThrow(refused('signature algorithm'));
    const mixed = request({ keys: p256(), algorithm: Oid.sha256WithRsa });
    expect(() => readCsr(mixed)).toThrow(refused('signature algorithm'));
  });

  test('another version is refused', () => {
    expect(() => readCsr(request({ keys: p256(), version: 1 }))).toThrow(refused('version'));
  });

  test('what is not exactly one request is refused', async () => {
    const { csrPem } = await createCsr(id);
    expect(() => readCsr('')).toThrow(refused('PEM'));
    expect(() => readCsr(csrPem + csrPem)).toThrow(refused('PEM'));
    expect(() => readCsr(csrPem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'))).toThrow(refused('PEM'));
    expect(() => readCsr(csrPem.slice(0, 100))).toThrow(refused('PEM'));
    expect(() => readCsr(`${csrPem}trailing`)).toThrow(refused('PEM'));
  });

  test('a megabyte is refused before it is parsed', async () => {
    const csrPem = 'A'.repeat(1_000_000);
    await withinCpuMs(50, () => {
      expect(() => readCsr(csrPem)).toThrow(refused('larger'));
    });
  });
});
