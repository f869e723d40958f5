import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { asn1 as Asn1Module } from 'node-forge';
import { writePem } from '../../identity/pem.js';
import { MeshError } from '../../runtime/errors.js';
import type { Passphrase } from './private-key.js';

/** What a PKCS #12 file holds of an authority. */
export interface Pkcs12Content {
  readonly privateKey: KeyObject;
  /** PEM of all certificates. */
  readonly certificates: string;
  /** PEM of those that are their own issuer: roots. */
  readonly selfSigned: string;
}

/** Opens a PKCS #12 file. node-forge reads it: node:crypto opens such files for TLS only and never shows what is in them. */
export async function readPkcs12(
  bytes: Uint8Array,
  passphrase: Passphrase,
  resource: string,
): Promise<Pkcs12Content> {
  const { default: forge } = await import('node-forge');
  const { pkcs12, asn1, pki } = forge;
  let bags: { readonly key: Buffer[]; readonly certificates: Buffer[] };
  try {
    const input = asn1.fromDer(Buffer.from(bytes).toString('latin1'));
    const content = pkcs12.pkcs12FromAsn1(input, false, passphrase ?? '');
    const derOf = (value: Asn1Module.Asn1) => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');
    const all = content.safeContents.flatMap(({ safeBags }) => safeBags);
    bags = {
      key: all.flatMap(({ type, asn1: raw, key }) => {
        if (type !== pki.oids['keyBag'] && type !== pki.oids['pkcs8ShroudedKeyBag']) return [];
        // Keys that node-forge knows (RSA) are objects of its own, others stay as they are.
        return key ? [derOf(pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(key)))] : raw ? [derOf(raw)] : [];
      }),
      certificates: all.flatMap(({ type, asn1: raw, cert }) => {
        if (type !== pki.oids['certBag']) return [];
        return cert ? [derOf(pki.certificateToAsn1(cert))] : raw ? [derOf(raw)] : [];
      }),
    };
  } catch {
    // What is said of the content of a file with a key stays out of messages.
    throw unreadable(
      resource,
      'its passphrase is wrong, or it is no PKCS #12 file with AES or 3DES encryption',
    );
  }
  const [keyDer, another] = bags.key;
  if (keyDer === undefined) throw unreadable(resource, 'it holds no private key');
  if (another !== undefined) throw unreadable(resource, 'it holds more than one private key');
  const certificates = bags.certificates.map((der) => ({ der, isRoot: isSelfSigned(der, resource) }));
  const pem = (list: typeof certificates) => list.map(({ der }) => writePem(der, 'CERTIFICATE')).join('');
  return {
    privateKey: keyOf(keyDer, resource),
    certificates: pem(certificates),
    selfSigned: pem(certificates.filter(({ isRoot }) => isRoot)),
  };
}

function keyOf(der: Buffer, resource: string): KeyObject {
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch {
    throw unreadable(resource, 'its private key cannot be read');
  }
}

function isSelfSigned(der: Buffer, resource: string): boolean {
  try {
    const certificate = new X509Certificate(der);
    return certificate.subject === certificate.issuer && certificate.checkIssued(certificate);
  } catch {
    throw unreadable(resource, 'one of its certificates cannot be read');
  }
}

function unreadable(resource: string, why: string): MeshError {
  return new MeshError(
    'INMESH_CA_KEY',
    `the PKCS #12 file of the certificate authority cannot be used: ${why}`,
    {
      resource,
      hint: 'Make it with openssl pkcs12 -export -inkey ca-key.pem -in ca-cert.pem -certfile chain.pem, and supply its passphrase',
    },
  );
}
