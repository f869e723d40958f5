import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Clock } from '../runtime/clock.js';
import { isJsonObject, parseStrictJson } from '../runtime/strict-json.js';
import type { JwksCache, JwksDocument } from './jwks-cache.js';
import { weaknessOf } from './strength.js';

/** Claims of a token whose signature holds. */
export type TokenClaims = Readonly<Record<string, unknown>>;

/** What a token has to fulfil. */
export interface TokenRules {
  /** Exactly this `iss`. */
  readonly issuer: string;
  /** One of these in `aud`. */
  readonly audiences: readonly string[];
  /** Default: RS, PS and ES with SHA-2, and EdDSA. Shared secrets (HS) are never taken. */
  readonly algorithms?: readonly string[] | undefined;
  /** How far clocks may differ. Default 60 s. */
  readonly skewMs?: number | undefined;
}

/** Where the keys come from. */
export type TokenKeys = Pick<JwksCache, 'keys' | 'keysWith'>;

/** Every algorithm that a token may be signed with. */
export const TOKEN_ALGORITHMS: readonly string[] = [
  ...['RS', 'PS', 'ES'].flatMap((family) => ['256', '384', '512'].map((bits) => `${family}${bits}`)),
  'EdDSA',
];

/** Longer ones are refused unread. */
export const MAX_TOKEN_BYTES = 16 * 1024;
/** Candidates for a token that names no key: each costs a verification. */
const MAX_CANDIDATES = 8;
const SKEW_MS = 60_000;

const CURVE_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};
const TOKEN_TYPES: ReadonlySet<unknown> = new Set([undefined, 'JWT', 'jwt', 'at+jwt', 'application/at+jwt']);
/** They point at keys of the token's own choice, or change what is signed. */
const REFUSED_MEMBERS = ['jku', 'jwk', 'x5u', 'crit', 'b64', 'zip', 'enc'];
/** Members of a public key, by kind: whatever else is in the set stays out. */
const MEMBERS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['RSA', ['n', 'e']],
  ['EC', ['crv', 'x', 'y']],
  ['OKP', ['crv', 'x']],
]);

/** Why a token was refused: for the log, never for the caller. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';
}

/** The issuer that a token claims, unproven; undefined when it is no JWT. */
export function claimedIssuer(token: string): string | undefined {
  const parts = token.length > MAX_TOKEN_BYTES ? [] : token.split('.');
  const claims = parts.length === 3 ? readPart(parts[1] ?? '') : undefined;
  const issuer = claims && own(claims, 'iss');
  return typeof issuer === 'string' ? issuer : undefined;
}

/** When a token ends, as it says itself, in milliseconds of the calendar; for tokens that somebody else verified. */
export function claimedExpiry(token: string): number | undefined {
  const claims = readPart(token.split('.')[1] ?? '');
  const expires = claims && own(claims, 'exp');
  return typeof expires === 'number' ? expires * 1000 : undefined;
}

/**
 * Verifies a JWT of an OIDC issuer: signature by a key that the issuer publishes, `iss`, `aud`, `exp`, `nbf`, `iat`.
 * @throws TokenRefused
 */
export async function verifyToken(
  token: string,
  rules: TokenRules,
  { keys, clock }: { readonly keys: TokenKeys; readonly clock: Clock },
): Promise<TokenClaims> {
  if (token.length > MAX_TOKEN_BYTES) throw new TokenRefused(`it is longer than ${MAX_TOKEN_BYTES} bytes`);
  const parts = token.split('.');
  const [headerText = '', payloadText = ''] = parts;
  const header = readPart(headerText);
  const claims = readPart(payloadText);
  if (parts.length !== 3 || header === undefined || claims === undefined)
    throw new TokenRefused('it is no JWT');
  const { algorithm, keyId } = readHeader(header, rules);
  // Cheap checks first: a stranger's token costs no signature.
  checkClaims(claims, rules, clock);
  const document = keyId === undefined ? await keys.keys() : await keys.keysWith(keyId);
  if (document === undefined) throw new TokenRefused('the keys of its issuer are not known');
  await checkSignature(token, candidates(document, algorithm, keyId), algorithm);
  return claims;
}

/** Calendar time from which a verified token is not taken any more, in milliseconds. */
export function tokenEndMs(claims: TokenClaims, { skewMs = SKEW_MS }: Pick<TokenRules, 'skewMs'>): number {
  return (timeOf(claims, 'exp') ?? 0) * 1000 + skewMs;
}

function readHeader(header: TokenClaims, { algorithms = TOKEN_ALGORITHMS }: TokenRules) {
  const algorithm = own(header, 'alg');
  const keyId = own(header, 'kid');
  if (
    typeof algorithm !== 'string' ||
    !TOKEN_ALGORITHMS.includes(algorithm) ||
    !algorithms.includes(algorithm)
  )
    throw new TokenRefused('its algorithm is not allowed');
  if (keyId !== undefined && typeof keyId !== 'string') throw new TokenRefused('its kid is no text');
  if (!TOKEN_TYPES.has(own(header, 'typ'))) throw new TokenRefused('it is a token of another type');
  const refused = REFUSED_MEMBERS.find((name) => Object.hasOwn(header, name));
  if (refused !== undefined) throw new TokenRefused(`its header has ${refused}`);
  return { algorithm, keyId };
}

function checkClaims(claims: TokenClaims, rules: TokenRules, clock: Clock): void {
  const now = clock.wallTime() / 1000;
  const skew = (rules.skewMs ?? SKEW_MS) / 1000;
  if (own(claims, 'iss') !== rules.issuer) throw new TokenRefused('it is of another issuer');
  const audience = own(claims, 'aud');
  const audiences: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  if (!audiences.some((one) => typeof one === 'string' && rules.audiences.includes(one)))
    throw new TokenRefused('it is for another audience');
  const expires = timeOf(claims, 'exp');
  if (expires === undefined) throw new TokenRefused('it never expires');
  if (expires + skew <= now) throw new TokenRefused('it has expired');
  if ((timeOf(claims, 'nbf') ?? 0) - skew > now) throw new TokenRefused('it is not valid yet');
  if ((timeOf(claims, 'iat') ?? 0) - skew > now) throw new TokenRefused('it was issued in the future');
}

function timeOf(claims: TokenClaims, name: string): number | undefined {
  const value = own(claims, name);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw new TokenRefused(`its ${name} is no time`);
}

const imported = new WeakMap<object, KeyObject | null>();

function candidates(
  { keys }: JwksDocument,
  algorithm: string,
  keyId: string | undefined,
): readonly KeyObject[] {
  return keys
    .filter((jwk) => keyId === undefined || own(jwk, 'kid') === keyId)
    .flatMap((jwk) => {
      const use = own(jwk, 'use');
      const declared = own(jwk, 'alg');
      if ((use !== undefined && use !== 'sig') || (declared !== undefined && declared !== algorithm))
        return [];
      const key = publicKey(jwk);
      return key !== undefined && fits(key, algorithm) ? [key] : [];
    })
    .slice(0, MAX_CANDIDATES);
}

function publicKey(jwk: TokenClaims): KeyObject | undefined {
  const known = imported.get(jwk);
  if (known !== undefined) return known ?? undefined;
  const key = importKey(jwk);
  imported.set(jwk, key ?? null);
  return key;
}

function importKey(jwk: TokenClaims): KeyObject | undefined {
  const kind = own(jwk, 'kty');
  const members = MEMBERS.get(kind);
  if (members === undefined) return undefined;
  const plain: JsonWebKey = { kty: String(kind) };
  for (const name of members) {
    const value = own(jwk, name);
    if (typeof value !== 'string') return undefined;
    plain[name] = value;
  }
  try {
    const key = createPublicKey({ key: plain, format: 'jwk' });
    return weaknessOf(key) === undefined ? key : undefined;
  } catch {
    return undefined;
  }
}

/** The kind of the key decides, never the token: a public key is no shared secret. */
function fits(key: KeyObject, algorithm: string): boolean {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return /^[RP]S/.test(algorithm);
    case 'ec':
      return CURVE_ALGORITHMS[key.asymmetricKeyDetails?.namedCurve ?? ''] === algorithm;
    case 'ed25519':
      return algorithm === 'EdDSA';
    default:
      return false;
  }
}

async function checkSignature(token: string, keys: readonly KeyObject[], algorithm: string): Promise<void> {
  const { compactVerify } = await import('jose');
  for (const key of keys) {
    try {
      await compactVerify(token, key, { algorithms: [algorithm] });
      return;
    } catch {
      // The next key may fit.
    }
  }
  throw new TokenRefused(keys.length === 0 ? 'no key of its issuer fits it' : 'its signature does not hold');
}

const BASE64URL = /^[A-Za-z0-9_-]+$/;

function readPart(text: string): TokenClaims | undefined {
  if (!BASE64URL.test(text)) return undefined;
  try {
    // A member that stands twice is another one to another reader.
    const json = parseStrictJson(Buffer.from(text, 'base64url'), (what) => new TokenRefused(what));
    return isJsonObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** A member of its own, never one of the prototype. */
function own(object: TokenClaims, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
