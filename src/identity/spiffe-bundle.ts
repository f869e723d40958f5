import { KeyObject } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue } from '../runtime/strict-json.js';
import { createX509Bundle, parseCertificate, type X509Bundle } from './bundle.js';
import { readJwk, writeJwk } from './jwk.js';
import { badBundle, createJwtBundle, type JwtBundle, jwtBundleOf, keysOf, readJwkSet } from './jwt-bundle.js';
import { writePem } from './pem.js';
import { type RevocationList, revocationList } from './revocation.js';
import { parseTrustDomain } from './spiffe-id.js';

/** All that is trusted for one trust domain: what a SPIFFE bundle document says. */
export interface SpiffeBundle {
  readonly trustDomain: string;
  /** Who may issue its X.509-SVIDs. */
  readonly x509: X509Bundle;
  /** Who may sign its JWT-SVIDs. */
  readonly jwt: JwtBundle;
  /** Grows with each change; undefined when the publisher does not count. 64 bits, so no number. */
  readonly sequence: bigint | undefined;
  /** How often the publisher wants consumers to look, in milliseconds. */
  readonly refreshHintMs: number | undefined;
}

/** What a bundle is made of. */
export interface SpiffeBundleParts {
  readonly x509?: X509Bundle | undefined;
  readonly jwt?: JwtBundle | undefined;
  readonly sequence?: bigint | undefined;
  readonly refreshHintMs?: number | undefined;
}

const MAX_UINT64 = 2n ** 64n - 1n;

/** Makes a bundle of its parts, which must be of the same trust domain. */
export function createSpiffeBundle(trustDomain: string, parts: SpiffeBundleParts): SpiffeBundle {
  const name = parseTrustDomain(trustDomain);
  const { x509 = createX509Bundle(name, []), jwt = createJwtBundle(name, []) } = parts;
  if (x509.trustDomain !== name || jwt.trustDomain !== name)
    throw badBundle(name, 'keys of another trust domain');
  return Object.freeze({
    trustDomain: name,
    x509,
    jwt,
    sequence: parts.sequence,
    refreshHintMs: parts.refreshHintMs,
  });
}

/**
 * Reads a SPIFFE bundle document. Entries of an unknown `use` or `kty` are ignored, without `use`, too; an empty `keys`
 * trusts nobody. What is malformed is refused as a whole with INMESH_BUNDLE_INVALID, so that the last good bundle stays.
 */
export function parseSpiffeBundle(trustDomain: string, text: string | Uint8Array): SpiffeBundle {
  const name = parseTrustDomain(trustDomain);
  return bundleOf(name, readJwkSet(name, text));
}

/**
 * Reads a SPIFFE bundle map: `{"trust_domains": {"<name>": <bundle>}}`, one bundle for each trust domain (gRFC A87,
 * Envoy's SPIFFE validator).
 */
export function parseBundleMap(text: string | Uint8Array): ReadonlyMap<string, SpiffeBundle> {
  const where = '(bundle map)';
  const { trust_domains: domains } = readJwkSet(where, text);
  if (!isJsonObject(domains)) throw badBundle(where, 'no object "trust_domains"');
  const bundles = new Map<string, SpiffeBundle>();
  for (const [name, document] of Object.entries(domains)) {
    // Names only: an ID would let one trust domain stand there twice.
    if (name.includes('://'))
      throw badBundle(where, `${JSON.stringify(name)}, which is no name of a trust domain`);
    const trustDomain = parseTrustDomain(name);
    if (!isJsonObject(document)) throw badBundle(trustDomain, 'no JSON object');
    bundles.set(trustDomain, bundleOf(trustDomain, document));
  }
  return bundles;
}

function bundleOf(name: string, document: JsonObject): SpiffeBundle {
  const keys = keysOf(document, name);
  const roots = keys.flatMap((key) => (key['use'] === 'x509-svid' ? (rootOf(name, key) ?? []) : []));
  return createSpiffeBundle(name, {
    x509: createX509Bundle(name, roots, revokedOf(name, document[REVOKED])),
    jwt: jwtBundleOf(
      name,
      keys.filter(({ use }) => use === 'jwt-svid'),
    ),
    sequence: sequenceOf(name, document['spiffe_sequence']),
    refreshHintMs: refreshHintOf(name, document['spiffe_refresh_hint']),
  });
}

/** X509-SVID §6.2: no `x5c` or an empty one = ignored; of several certificates, the first. */
function rootOf(name: string, { kty, x5c, ...jwk }: JsonObject): string | undefined {
  // Ed25519 is no kind of key for JWTs, but one for certificates.
  if (kty !== 'EC' && kty !== 'RSA' && kty !== 'OKP') return undefined;
  if (x5c === undefined || (Array.isArray(x5c) && x5c.length === 0)) return undefined;
  const first: JsonValue | undefined = Array.isArray(x5c) ? x5c[0] : undefined;
  if (typeof first !== 'string') throw badBundle(name, 'an "x5c" that is no array of texts');
  const der = Buffer.from(first, 'base64');
  if (der.toString('base64') !== first) throw badBundle(name, 'an "x5c" that is not base64');
  const { publicKey, facts } = parseCertificate(der, `bundle of trust domain ${name}`);
  if (!facts.isCa) throw badBundle(name, 'a certificate that is no authority');
  // RFC 7517 §4.7: the certificate's key MUST be that of the other members.
  const hasKey = jwk['n'] !== undefined || jwk['x'] !== undefined;
  if (hasKey && kty !== 'OKP') {
    const key = readJwk({ kty, ...jwk });
    if (!(key instanceof KeyObject)) throw badBundle(name, `an authority whose key can't be used: ${key}`);
    if (!key.equals(publicKey)) throw badBundle(name, 'an "x5c" with another key than the entry');
  }
  return writePem(der, 'CERTIFICATE');
}

/**
 * A member of our own, which others pass over (RFC 7517 §5): what the trust domain took back before its time. Consumers
 * that know it refuse that, too; what is malformed would weaken it, and refuses the document.
 */
const REVOKED = 'inmesh_revoked';
const REVOKED_NAMES = {
  serials: /^(?:0|[1-9a-f][0-9a-f]{0,39})$/,
  ids: /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/,
  keys: /^[0-9a-f]{64}$/,
} as const;

function revokedOf(name: string, value: JsonValue | undefined): RevocationList | undefined {
  if (value === undefined) return undefined;
  if (!isJsonObject(value)) throw badBundle(name, `a "${REVOKED}" that is no object`);
  const namesOf = (kind: keyof typeof REVOKED_NAMES): string[] => {
    const list: JsonValue = value[kind] ?? [];
    const isName = (one: JsonValue): one is string =>
      typeof one === 'string' && REVOKED_NAMES[kind].test(one);
    if (!Array.isArray(list) || !list.every(isName)) throw badBundle(name, `a "${REVOKED}" with bad ${kind}`);
    return list;
  };
  return revocationList({ serials: namesOf('serials'), ids: namesOf('ids'), keys: namesOf('keys') });
}

/** Nothing when nothing was taken back: then the document is as any other. */
function revokedMember({ serials, ids, keys }: RevocationList) {
  if (serials.size + ids.size + keys.size === 0) return {};
  return { [REVOKED]: { serials: [...serials], ids: [...ids], keys: [...keys] } };
}

function sequenceOf(name: string, value: JsonValue | undefined): bigint | undefined {
  if (value === undefined) return undefined;
  const isInteger = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  const sequence = isInteger ? BigInt(value) : -1n;
  if (sequence < 0n || sequence > MAX_UINT64)
    throw badBundle(name, 'a "spiffe_sequence" that is no integer of 64 bits');
  return sequence;
}

function refreshHintOf(name: string, value: JsonValue | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw badBundle(name, 'a "spiffe_refresh_hint" that is no number of seconds');
  return value * 1000;
}

/** Writes a bundle as the document that {@link parseSpiffeBundle} reads. */
export function encodeSpiffeBundle(bundle: SpiffeBundle): string {
  return JSON.stringify(documentOf(bundle), undefined, 2).replace(SEQUENCE, '$1$2');
}

/** Writes a bundle map; refresh hints have no place in one. */
export function encodeBundleMap(bundles: Iterable<SpiffeBundle>): string {
  const all = [...bundles].map(
    (bundle) => [bundle.trustDomain, documentOf({ ...bundle, refreshHintMs: undefined })] as const,
  );
  return JSON.stringify({ trust_domains: Object.fromEntries(all) }, undefined, 2).replace(SEQUENCE, '$1$2');
}

/** JSON.stringify writes no bigint: it stands there as text, and loses its quotes. No other member has such a text. */
const SEQUENCE = /("spiffe_sequence": )"(\d+)"/g;

function documentOf({ x509, jwt, sequence, refreshHintMs }: SpiffeBundle) {
  const roots = x509.certificates.map(({ certificate, publicKey }) => ({
    ...(writeJwk(publicKey) ?? { kty: 'OKP' }),
    use: 'x509-svid',
    x5c: [certificate.raw.toString('base64')],
  }));
  const signers = [...jwt.authorities.values()].map(({ keyId, publicKey }) => ({
    ...writeJwk(publicKey),
    use: 'jwt-svid',
    kid: keyId,
  }));
  return {
    keys: [...roots, ...signers],
    ...(sequence !== undefined && { spiffe_sequence: sequence.toString() }),
    ...(refreshHintMs !== undefined && { spiffe_refresh_hint: Math.ceil(refreshHintMs / 1000) }),
    ...(x509.revoked !== undefined && revokedMember(x509.revoked)),
  };
}
