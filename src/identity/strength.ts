import type { KeyObject } from 'node:crypto';
import { Oid } from './x509.js';

const SIGNATURES: ReadonlySet<string> = new Set([
  Oid.ecdsaWithSha256,
  Oid.ecdsaWithSha384,
  Oid.ecdsaWithSha512,
  Oid.sha256WithRsa,
  Oid.sha384WithRsa,
  Oid.sha512WithRsa,
  Oid.ed25519,
  `${Oid.rsaPss}/${Oid.sha256}`,
  `${Oid.rsaPss}/${Oid.sha384}`,
  `${Oid.rsaPss}/${Oid.sha512}`,
]);

const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** Tells whether a signature algorithm is one that nobody can forge today: SHA-2 or Ed25519, never MD5 or SHA-1. */
export function isStrongSignature(algorithm: string): boolean {
  return SIGNATURES.has(algorithm);
}

/** Tells what is wrong with a public key, or undefined: RSA has 2048 to 8192 bits and exponent 65537 or more, EC a NIST curve. */
export function weaknessOf(key: KeyObject): string | undefined {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return undefined;
    case 'ec':
      return CURVES.has(namedCurve) ? undefined : 'its curve is not P-256, P-384 or P-521';
    case 'rsa':
    case 'rsa-pss':
      // Above 8192 bits one verification costs milliseconds: a lever for whoever sends the certificate.
      if (modulusLength < 2048 || modulusLength > 8192) return 'its RSA key has not 2048 to 8192 bits';
      return publicExponent < 65537n || publicExponent > 0xffffffffn
        ? 'its RSA exponent is not 65537'
        : undefined;
    default:
      return 'its kind of key is not ECDSA, RSA or Ed25519';
  }
}
