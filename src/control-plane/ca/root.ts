import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { createX509Bundle, type X509Bundle } from '../../identity/bundle.js';
import { loadDerEncoder } from '../../identity/der-encode.js';
import { writePem } from '../../identity/pem.js';
import type { ReadCertificate } from '../../identity/read-certificate.js';
import { GeneralNameTag, KeyUsageBit, latin1 } from '../../identity/x509.js';
import { MeshError } from '../../runtime/errors.js';
import { encodeCertificate, encodeName, keyIdOf } from './encode-certificate.js';

const generate = promisify(generateKeyPair);

/** Kinds of key an authority can have. */
export type CaKeyType = 'ecdsa-p256' | 'rsa-2048';

/** The root of a trust domain with its key. */
export interface Root {
  readonly bundle: X509Bundle;
  readonly root: ReadCertificate;
  readonly pem: string;
  readonly privateKey: KeyObject;
}

/** Where an authority keeps its key and root between starts. */
export interface CaStore {
  /** What was saved last, or undefined. PEM of a private key with its root is taken, too. */
  load(): Promise<string | undefined>;
  save(text: string): Promise<void>;
  /** Runs `work` while no other process changes what is kept; default: nobody else does. */
  exclusively?<T>(work: () => Promise<T>): Promise<T>;
  /** A text that changes when what is kept does; default: only this process changes it. */
  stamp?(): Promise<string>;
}

export interface NewRoot {
  readonly trustDomain: string;
  readonly keyType: CaKeyType;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Makes a key and a self-signed root certificate. */
export async function createRoot(options: NewRoot): Promise<Root> {
  const [encoder, { publicKey, privateKey }] = await Promise.all([
    loadDerEncoder(),
    generateKey(options.keyType),
  ]);
  const spkiDer = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = keyIdOf(spkiDer);
  // The key is part of the name, so that two roots of one trust domain never look alike.
  const name = encodeName(encoder, `inmesh root ${Buffer.from(keyId).toString('hex').slice(0, 16)}`);
  const { keyCertSign, cRLSign } = KeyUsageBit;
  const der = encodeCertificate(
    encoder,
    {
      serial: randomSerial(),
      issuerDer: name,
      subjectDer: name,
      notBeforeMs: options.notBeforeMs,
      notAfterMs: options.notAfterMs,
      spkiDer,
      isCa: true,
      keyUsage: [keyCertSign, cRLSign],
      extendedKeyUsage: [],
      // X509-SVID §2: the ID of a signing certificate is its trust domain.
      names: { uris: [`spiffe://${options.trustDomain}`] },
      subjectKeyId: keyId,
      authorityKeyId: keyId,
    },
    privateKey,
  );
  return assemble(options.trustDomain, writePem(der, 'CERTIFICATE'), privateKey);
}

/** Takes a key and its root certificate, both in PEM, after checking that they are one, and of this trust domain. */
export function parseRoot(pem: string, trustDomain: string, key?: KeyObject): Root {
  let root: Root;
  try {
    root = assemble(trustDomain, pem, key ?? createPrivateKey(pem));
  } catch (error) {
    // What OpenSSL says of a key that it cannot read stays out of messages.
    if (MeshError.is(error)) throw error;
    throw corrupt('the saved private key cannot be read');
  }
  if (!root.root.certificate.checkPrivateKey(root.privateKey))
    throw corrupt('the saved key belongs to another root');
  const uris = root.root.facts.subjectAltNames.filter(({ tag }) => tag === GeneralNameTag.uri);
  // One that was imported may have none.
  if (uris.length > 0 && !uris.some(({ value }) => latin1(value) === `spiffe://${trustDomain}`)) {
    throw corrupt(`the saved root is not that of trust domain ${trustDomain}`);
  }
  return root;
}

function assemble(trustDomain: string, pem: string, privateKey: KeyObject): Root {
  const bundle = createX509Bundle(trustDomain, pem);
  const [root] = bundle.certificates;
  const [rootPem] = bundle.authorities;
  if (root === undefined || rootPem === undefined) throw corrupt('there is no root certificate');
  return { bundle, root, pem: rootPem, privateKey };
}

/** 127 random bits, positive (RFC 5280 §4.1.2.2: at most 20 bytes). */
export function randomSerial(): Uint8Array {
  const serial = randomBytes(16);
  // The first bit is 0 so that it stays positive in 16 bytes, the second is 1 so that it is never shorter.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

function generateKey(keyType: CaKeyType): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  return keyType === 'rsa-2048'
    ? generate('rsa', { modulusLength: 2048 })
    : generate('ec', { namedCurve: 'P-256' });
}

/** A fresh P-256 key with its SubjectPublicKeyInfo, for a certificate that the authority issues to its own process. */
export async function createServerKey(): Promise<{
  readonly privateKey: KeyObject;
  readonly spkiDer: Uint8Array;
}> {
  const { privateKey } = await generateKey('ecdsa-p256');
  return { privateKey, spkiDer: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }) };
}

function corrupt(what: string): MeshError {
  return new MeshError('INMESH_STORE_CORRUPT', what, {
    resource: 'certificate authority',
    hint: 'Restore its file from a backup, or delete it to start with a new root; every workload then needs a new certificate',
  });
}
