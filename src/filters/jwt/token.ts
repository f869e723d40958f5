import { type Claims, claimOf } from '../../routing/token-claims.js';
import { parseStrictJson } from '../../runtime/strict-json.js';
import type { JwtFailure } from './status.js';

/** A token that is well formed; nothing is proven yet. */
export interface Token {
  readonly text: string;
  readonly header: Claims;
  readonly algorithm: string;
  /** Empty when the header has none. */
  readonly keyId: string;
  readonly payload: Claims;
  /** The payload as it stands in the token. */
  readonly payloadText: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  /** Seconds since 1970; 0 = none. */
  readonly notBefore: number;
  readonly expires: number;
}

const ALGORITHMS = /^(?:[EHRP]S(?:256|384|512)|EdDSA)$/;

const MAX_UINT64 = 2 ** 64;

/** Reads a token in the order of Envoy's checks; the name of the first that fails. */
export function parseToken(text: string): Token | JwtFailure {
  const parts = text.split('.');
  const [headerText = '', payloadText = '', signature = ''] = parts;
  if (parts.length !== 3 || headerText === '' || payloadText === '' || signature === '') return 'badFormat';
  const header = parsePart(headerText, 'headerBase64', 'headerJson');
  if (typeof header === 'string') return header;
  const { alg: algorithm } = header;
  const keyId = textClaim(header, 'kid');
  if (typeof algorithm !== 'string') return 'headerAlg';
  if (!ALGORITHMS.test(algorithm)) return 'algorithm';
  if (keyId === undefined) return 'headerKid';
  const payload = parsePart(payloadText, 'payloadBase64', 'payloadJson');
  if (typeof payload === 'string') return payload;
  const claims = readClaims(payload);
  if (typeof claims === 'string') return claims;
  if (!BASE64URL.test(signature)) return 'signatureBase64';
  return { text, header, algorithm, keyId, payload, payloadText, ...claims };
}

type RegisteredClaims = Pick<Token, 'issuer' | 'subject' | 'audiences' | 'notBefore' | 'expires'>;

function readClaims(payload: Claims): RegisteredClaims | JwtFailure {
  const issuer = textClaim(payload, 'iss');
  if (issuer === undefined) return 'iss';
  const subject = textClaim(payload, 'sub');
  if (subject === undefined) return 'sub';
  const issued = timeClaim(payload, 'iat', 'iatType', 'iatRange');
  if (typeof issued === 'string') return issued;
  const notBefore = timeClaim(payload, 'nbf', 'nbfType', 'nbfRange');
  if (typeof notBefore === 'string') return notBefore;
  const expires = timeClaim(payload, 'exp', 'expType', 'expRange');
  if (typeof expires === 'string') return expires;
  if (textClaim(payload, 'jti') === undefined) return 'jti';
  const audiences = listClaim(payload, 'aud');
  return audiences === undefined ? 'aud' : { issuer, subject, audiences, notBefore, expires };
}

// Unpadded or padded; what remains after groups of four can't be one character.
const BASE64URL = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}(?:==)?|[A-Za-z0-9_-]{3}=?)?$/;

function parsePart(text: string, badBase64: JwtFailure, badJson: JwtFailure): Claims | JwtFailure {
  if (!BASE64URL.test(text)) return badBase64;
  try {
    const decoded = UTF8.decode(Buffer.from(text, 'base64url'));
    // Of a member that is there twice, two readers might believe different ones.
    parseStrictJson(decoded, notJson);
    const json: unknown = JSON.parse(decoded);
    return isObject(json) ? json : badJson;
  } catch {
    return badJson;
  }
}

const notJson = (what: string) => new TypeError(what);

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Empty when it is missing, undefined when it is no text. */
function textClaim(claims: Claims, name: string): string | undefined {
  const value = claimOf(claims, name) ?? (Object.hasOwn(claims, name) ? null : '');
  return typeof value === 'string' ? value : undefined;
}

function timeClaim(
  claims: Claims,
  name: string,
  badType: JwtFailure,
  badRange: JwtFailure,
): number | JwtFailure {
  if (!Object.hasOwn(claims, name)) return 0;
  const value = claims[name];
  if (typeof value !== 'number') return badType;
  return value >= 0 && value < MAX_UINT64 ? Math.floor(value) : badRange;
}

function listClaim(claims: Claims, name: string): readonly string[] | undefined {
  if (!Object.hasOwn(claims, name)) return [];
  const value = claims[name];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined;
}
