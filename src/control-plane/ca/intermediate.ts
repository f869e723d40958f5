import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { loadDerEncoder } from '../../identity/der-encode.js';
import { writePem } from '../../identity/pem.js';
import { KeyUsageBit } from '../../identity/x509.js';
import { encodeCertificate, encodeName, keyIdOf } from './encode-certificate.js';
import { type CaKeyType, type Root, randomSerial } from './root.js';

const generate = promisify(generateKeyPair);

/** What an intermediate is made of. */
export interface NewIntermediate {
  readonly root: Root;
  readonly keyType: CaKeyType;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Makes a key and a certificate of the root that may sign leaves, and nothing below them. */
export async function createIntermediate({
  root,
  keyType,
  notBeforeMs,
  notAfterMs,
}: NewIntermediate): Promise<{ readonly certificatePem: string; readonly privateKey: KeyObject }> {
  const [encoder, { publicKey, privateKey }] = await Promise.all([
    loadDerEncoder(),
    keyType === 'rsa-2048'
      ? generate('rsa', { modulusLength: 2048 })
      : generate('ec', { namedCurve: 'P-256' }),
  ]);
  const spkiDer = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = keyIdOf(spkiDer);
  const rootSpki = createPublicKey(root.privateKey).export({ type: 'spki', format: 'der' });
  const der = encodeCertificate(
    encoder,
    {
      serial: randomSerial(),
      issuerDer: root.root.facts.subjectDer,
      subjectDer: encodeName(
        encoder,
        `inmesh intermediate ${Buffer.from(keyId).toString('hex').slice(0, 16)}`,
      ),
      notBeforeMs: Math.max(notBeforeMs, root.root.facts.notBeforeMs),
      notAfterMs: Math.min(notAfterMs, root.root.facts.notAfterMs),
      spkiDer,
      isCa: true,
      pathLength: 0,
      keyUsage: [KeyUsageBit.keyCertSign, KeyUsageBit.cRLSign],
      extendedKeyUsage: [],
      names: { uris: [`spiffe://${root.bundle.trustDomain}`] },
      subjectKeyId: keyId,
      authorityKeyId: root.root.facts.subjectKeyId ?? keyIdOf(rootSpki),
    },
    root.privateKey,
  );
  return { certificatePem: writePem(der, 'CERTIFICATE'), privateKey };
}

/** The times in the life of an intermediate, as SPIRE has them, with its caps. */
export function intermediateTimes(notBeforeMs: number, notAfterMs: number) {
  const lifeMs = notAfterMs - notBeforeMs;
  return {
    /** Its successor is made. */
    prepareAtMs: notAfterMs - Math.min(lifeMs / 2, 30 * DAY_MS),
    /** Its successor signs. */
    activateAtMs: notAfterMs - Math.min(lifeMs / 6, 7 * DAY_MS),
  };
}

const DAY_MS = 86_400_000;
