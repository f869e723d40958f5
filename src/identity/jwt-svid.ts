import { MeshError } from '../runtime/errors.js';
import { isJsonObject, type JsonObject, type JsonValue, parseStrictJson } from '../runtime/strict-json.js';
import { JWT_SVID_ALGORITHMS } from './jwk.js';
import type { JwtAuthority, JwtBundle } from './jwt-bundle.js';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js';

/** A token with a hundred kilobytes of claims is no credential. */
const MAX_TOKEN_BYTES = 64 * 1024;
const LEEWAY_MS = 30_000;
const MAX_LEEWAY_MS = 60_000;
/** Signatures checked at most for a token that does not say who signed it. */
const MAX_KEYS_TRIED = 8;

/** A JWT-SVID that holds, or one that its issuer handed to this workload. */
export interface JwtSvid {
  readonly id: SpiffeId;
  readonly token: string;
  readonly audience: readonly string[];
  /** Calendar time. */
  readonly expiresAtMs: number;
  /** Calendar time; undefined when the token does not say when it was issued. */
  readonly issuedAtMs: number | undefined;
  /** Every claim of the token; an object without prototype. */
  readonly claims: JsonObject;
  /** What its issuer says about its use; empty when it says nothing. */
  readonly hint: string;
}

/** For whom and when a token is validated. */
export interface JwtSvidOptions {
  /** Names of this service; the token must be for one of them. */
  readonly audience: string | readonly string[];
  /** Calendar time. */
  readonly nowMs: number;
  /** By how much clocks may differ: 60 seconds at most, 30 by default. */
  readonly leewayMs?: number | undefined;
}

/**
 * Validates a JWT-SVID (JWT-SVID Appendix A) with the one bundle of its subject's trust domain; refused with
 * INMESH_JWT_SVID_INVALID or, when no bundle of that trust domain is here, INMESH_TRUST_DOMAIN.
 */
export async function validateJwtSvid(
  token: string,
  bundleOf: (trustDomain: string) => JwtBundle | undefined,
  options: JwtSvidOptions,
): Promise<JwtSvid> {
  const { svid, header } = read(token);
  const { leewayMs = LEEWAY_MS } = options;
  checkAudience(svid, options.audience);
  checkTimes(svid, options.nowMs, Math.min(Math.max(0, leewayMs), MAX_LEEWAY_MS));
  const bundle = bundleOf(svid.id.trustDomain);
  if (bundle === undefined) {
    throw new MeshError(
      'INMESH_TRUST_DOMAIN',
      'the token is not trusted: its trust domain has no bundle here',
      {
        resource: svid.id.toString(),
        hint: `Add the bundle of ${svid.id.trustDomain}`,
      },
    );
  }
  for (const authority of candidates(bundle, header)) {
    if (await isSignedBy(token, authority, header.algorithm)) return svid;
  }
  throw refused('no key of its trust domain signed it', svid.id);
}

/**
 * Reads a JWT-SVID that came from who issued it (the Workload API), for this workload's own use: nobody's signature is
 * checked, everything else is.
 */
export function readOwnJwtSvid(token: string, audience: string | readonly string[], hint = ''): JwtSvid {
  const { svid } = read(token);
  checkAudience(svid, audience);
  return { ...svid, hint };
}

interface Header {
  readonly algorithm: string;
  /** Undefined when the token names no key. */
  readonly keyId: string | undefined;
}

const BASE64URL = /^[A-Za-z0-9_-]+$/;

function read(token: string): { readonly svid: JwtSvid; readonly header: Header } {
  if (token.length > MAX_TOKEN_BYTES) throw refused(`it is larger than ${MAX_TOKEN_BYTES} bytes`);
  const parts = token.split('.');
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3) throw refused('it does not have the three parts of a compact JWS');
  bytesOf(signature, 'signature');
  return {
    header: readHeader(partOf(header, 'header')),
    svid: readClaims(token, partOf(payload, 'payload')),
  };
}

/** One spelling for each token: no padding, no white space, no bits that do not count. */
function bytesOf(text: string, part: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (!BASE64URL.test(text) || bytes.toString('base64url') !== text)
    throw refused(`its ${part} is not base64url`);
  return bytes;
}

function partOf(text: string, part: string): JsonObject {
  const value = parseStrictJson(bytesOf(text, part), (what) => refused(`its ${part} can't be read: ${what}`));
  if (!isJsonObject(value)) throw refused(`its ${part} is no JSON object`);
  return value;
}

/** JWT-SVID §2: a header that the standard does not describe MUST NOT be there; so none can point to a key. */
function readHeader({ alg, kid, typ, ...others }: JsonObject): Header {
  const [other] = Object.keys(others);
  if (other !== undefined) throw refused(`its header has the member ${JSON.stringify(other.slice(0, 50))}`);
  if (typeof alg !== 'string' || !JWT_SVID_ALGORITHMS.has(alg))
    throw refused('its algorithm is not one of JWT-SVIDs');
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE') throw refused('its type is neither JWT nor JOSE');
  if (kid !== undefined && typeof kid !== 'string') throw refused('its key ID is no text');
  return { algorithm: alg, keyId: kid };
}

function readClaims(token: string, claims: JsonObject): JwtSvid {
  const { sub, aud, exp, nbf, iat } = claims;
  if (typeof sub !== 'string') throw refused('it has no subject');
  const id = readSubject(sub);
  const audience = typeof aud === 'string' ? [aud] : aud;
  const isList = Array.isArray(audience) && audience.every((one): one is string => typeof one === 'string');
  if (!isList || audience.length === 0 || audience.includes('')) throw refused('it has no audience', id);
  const expiresAtMs = timeOf(exp, 'expiry');
  if (expiresAtMs === undefined) throw refused('it has no expiry', id);
  // Read here so that a token is refused for a time that is none, whoever looks at it.
  timeOf(nbf, '"not before"');
  const issuedAtMs = timeOf(iat, 'time of issue');
  return { id, token, audience, expiresAtMs, issuedAtMs, claims, hint: '' };
}

function readSubject(subject: string): SpiffeId {
  let id: SpiffeId;
  try {
    id = parseSpiffeId(subject);
  } catch (error) {
    throw refused('its subject is no SPIFFE ID', undefined, error);
  }
  if (id.path === '') throw refused('its subject is a trust domain and no workload', id);
  return id;
}

/** RFC 7519 §2 NumericDate: a JSON number, seconds since 1970, fractions allowed. */
function timeOf(value: JsonValue | undefined, what: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || value < 0) throw refused(`its ${what} is no time`);
  return value * 1000;
}

function checkAudience({ audience, id }: JwtSvid, wanted: string | readonly string[]): void {
  const names = typeof wanted === 'string' ? [wanted] : wanted;
  if (!names.some((name) => name !== '' && audience.includes(name)))
    throw refused('it is for another audience', id);
}

function checkTimes({ id, claims, expiresAtMs, issuedAtMs }: JwtSvid, nowMs: number, leewayMs: number): void {
  // RFC 7519 §4.1.4: the current time MUST be before it.
  if (nowMs >= expiresAtMs + leewayMs) throw refused(`it expired at ${textOf(expiresAtMs)}`, id);
  const notBeforeMs = timeOf(claims['nbf'], '"not before"') ?? 0;
  if (nowMs < notBeforeMs - leewayMs) throw refused(`it is not valid before ${textOf(notBeforeMs)}`, id);
  if (issuedAtMs !== undefined && nowMs < issuedAtMs - leewayMs)
    throw refused(`it was issued at ${textOf(issuedAtMs)}, which is still to come`, id);
}

function textOf(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'a time beyond all calendars' : date.toISOString();
}

/** The key that the token names, if it may be used with its algorithm; without a name, the first ones that may. */
function candidates(bundle: JwtBundle, { keyId, algorithm }: Header): readonly JwtAuthority[] {
  if (keyId !== undefined) {
    const named = bundle.authorities.get(keyId);
    return named?.algorithms.includes(algorithm) ? [named] : [];
  }
  const fitting = [...bundle.authorities.values()].filter(({ algorithms }) => algorithms.includes(algorithm));
  return fitting.slice(0, MAX_KEYS_TRIED);
}

/** The key is one that node:crypto read, without a `use`: the library knows only `sig`, SPIFFE says `jwt-svid`. */
async function isSignedBy(token: string, { publicKey }: JwtAuthority, algorithm: string): Promise<boolean> {
  const { compactVerify } = await loadJose();
  try {
    await compactVerify(token, publicKey, { algorithms: [algorithm] });
    return true;
  } catch {
    return false;
  }
}

let jose: Promise<typeof import('jose')> | undefined;

/** Loaded by the first token: most processes never see one. */
function loadJose(): Promise<typeof import('jose')> {
  jose ??= import('jose');
  return jose;
}

function refused(what: string, id?: SpiffeId, cause?: unknown): MeshError {
  return new MeshError('INMESH_JWT_SVID_INVALID', `the token is refused: ${what}`, {
    resource: id?.toString(),
    cause,
    hint: 'Send a JWT-SVID of a trusted trust domain that was fetched for this audience and has not expired',
  });
}
