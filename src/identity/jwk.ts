import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { JsonObject } from '../runtime/strict-json.js';
import { weaknessOf } from './strength.js';

/** The algorithms of JWT-SVIDs (JWT-SVID §2.1) by the curve of an EC key, as OpenSSL calls it. */
const CURVE_ALGORITHMS: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['secp521r1', 'ES512'],
]);

const CURVES: ReadonlySet<unknown> = new Set(['P-256', 'P-384', 'P-521']);

const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];

/** Members that make up the public key, by its kind. Whatever else an entry holds (a private part, say) is left out. */
const MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['EC', ['crv', 'x', 'y']],
  ['RSA', ['n', 'e']],
]);

// Unpadded, and with no bits that do not count: one spelling for each key.
const BASE64URL = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$/;

/** Whether this kind of key is known here: entries of others are ignored (SPIFFE bundle §4.2.1, RFC 7517 §5). */
export function isKnownKeyType({ kty, crv }: JsonObject): boolean {
  if (typeof kty !== 'string' || !MEMBERS.has(kty)) return false;
  return kty !== 'EC' || typeof crv !== 'string' || CURVES.has(crv);
}

/** The public key of a JWK, or what is wrong with it. */
export function readJwk(jwk: JsonObject): KeyObject | string {
  const { kty } = jwk;
  const members = typeof kty === 'string' ? MEMBERS.get(kty) : undefined;
  if (typeof kty !== 'string' || members === undefined) return 'its kind of key is unknown here';
  const plain: JsonWebKey = { kty };
  for (const name of members) {
    const value = jwk[name];
    if (typeof value !== 'string' || value === '') return `it has no member ${name}`;
    if (name !== 'crv' && !BASE64URL.test(value)) return `its member ${name} is not base64url`;
    plain[name] = value;
  }
  try {
    const key = createPublicKey({ key: plain, format: 'jwk' });
    return weaknessOf(key) ?? key;
  } catch {
    return 'its members are no public key';
  }
}

/** Writes a public key as JWK, with nothing but the key; undefined for a kind that bundles do not hold. */
export function writeJwk(key: KeyObject): Readonly<Record<string, string>> | undefined {
  const jwk = key.export({ format: 'jwk' });
  const members = MEMBERS.get(jwk.kty ?? '');
  if (members === undefined) return undefined;
  return Object.fromEntries(['kty', ...members].map((name) => [name, String(jwk[name])]));
}

/** What a JWT may be signed with by the owner of this key: the key says so, never the token. */
export function algorithmsOf(key: KeyObject): readonly string[] {
  if (key.asymmetricKeyType === 'rsa') return RSA_ALGORITHMS;
  const algorithm = CURVE_ALGORITHMS.get(key.asymmetricKeyDetails?.namedCurve ?? '');
  return algorithm === undefined ? [] : [algorithm];
}

/** Every algorithm that a JWT-SVID may have. */
export const JWT_SVID_ALGORITHMS: ReadonlySet<string> = new Set([
  ...RSA_ALGORITHMS,
  ...CURVE_ALGORITHMS.values(),
]);
