import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';

/** An issuer of tests, with a key of each kind. */
export interface TestIssuer {
  readonly issuer: string;
  readonly jwks: string;
  sign(claims: Readonly<Record<string, unknown>>, options?: SignOptions): Promise<string>;
}

export interface SignOptions {
  readonly alg?: string;
  readonly key?: KeyObject | Uint8Array;
  readonly header?: Readonly<Record<string, unknown>>;
}

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });

/** The private keys, by the algorithm that tests sign with. */
export const KEYS: Readonly<Record<string, KeyObject>> = {
  ES256: ec.privateKey,
  RS256: rsa.privateKey,
  PS256: rsa.privateKey,
  EdDSA: ed.privateKey,
};
export const WEAK_KEY = weak.privateKey;
export const PUBLIC_KEY = rsa.publicKey;

const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid });

export function testIssuer(issuer: string): TestIssuer {
  const jwks = JSON.stringify({
    keys: [
      jwk(ec.publicKey, 'ec'),
      { ...jwk(rsa.publicKey, 'rsa'), use: 'sig' },
      jwk(ed.publicKey, 'ed'),
      jwk(weak.publicKey, 'weak'),
      { ...jwk(ec.publicKey, 'encryption'), use: 'enc' },
      { kty: 'oct', k: Buffer.from('shared').toString('base64url'), kid: 'oct' },
      { kty: 'EC', crv: 'P-256', x: '!', y: 7, kid: 'broken' },
    ],
  });
  const kids: Readonly<Record<string, string>> = { ES256: 'ec', RS256: 'rsa', PS256: 'rsa', EdDSA: 'ed' };
  return {
    issuer,
    jwks,
    sign(claims, { alg = 'ES256', key = KEYS[alg] ?? ec.privateKey, header = {} } = {}) {
      const token = new SignJWT({ iss: issuer, aud: 'inmesh', ...claims });
      return token.setProtectedHeader({ alg, kid: kids[alg] ?? alg, ...header }).sign(key);
    },
  };
}
