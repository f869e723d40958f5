import { KeyObject } from 'node:crypto';
import { MeshError } from '../runtime/errors.js';
import { isJsonObject, type JsonObject, parseStrictJson } from '../runtime/strict-json.js';
import { algorithmsOf, isKnownKeyType, readJwk } from './jwk.js';
import { parseTrustDomain } from './spiffe-id.js';

/** A key that may sign the JWT-SVIDs of a trust domain. */
export interface JwtAuthority {
  readonly keyId: string;
  readonly publicKey: KeyObject;
  /** What it may be used with; from the key, never from a token. */
  readonly algorithms: readonly string[];
}

/** The keys that may sign the JWT-SVIDs of one trust domain, and of no other. */
export interface JwtBundle {
  readonly trustDomain: string;
  /** By key ID. A Map, since a token may name any key ID, `__proto__` among them. */
  readonly authorities: ReadonlyMap<string, JwtAuthority>;
}

/** A JWK set is small; more is an attack on memory. */
export const MAX_BUNDLE_BYTES = 4 * 1024 * 1024;
const MAX_KEYS = 1000;

/** Makes a bundle of keys by their IDs; an empty one trusts nobody. */
export function createJwtBundle(
  trustDomain: string,
  keys: Iterable<readonly [keyId: string, publicKey: KeyObject]>,
): JwtBundle {
  const name = parseTrustDomain(trustDomain);
  const authorities = new Map<string, JwtAuthority>();
  for (const [keyId, publicKey] of keys) {
    const algorithms = algorithmsOf(publicKey);
    if (keyId === '') throw badBundle(name, 'a key without an ID');
    if (publicKey.type !== 'public' || algorithms.length === 0)
      throw badBundle(name, 'a key that is not a public RSA or EC key');
    if (authorities.has(keyId)) throw badBundle(name, `the key ID ${JSON.stringify(keyId)} twice`);
    authorities.set(keyId, { keyId, publicKey, algorithms });
  }
  return Object.freeze({ trustDomain: name, authorities });
}

/** A JWK whose `use` says that it signs JWT-SVIDs, or says nothing: SPIRE leaves it out where a set holds nothing else. */
const JWT_USES: ReadonlySet<unknown> = new Set([undefined, 'jwt-svid', 'sig']);

/** Reads a JWK set that holds keys for JWT-SVIDs and nothing else, as the Workload API sends it. */
export function parseJwtBundle(trustDomain: string, text: string | Uint8Array): JwtBundle {
  const keys = keysOf(readJwkSet(trustDomain, text), trustDomain);
  return jwtBundleOf(
    trustDomain,
    keys.filter(({ use }) => JWT_USES.has(use)),
  );
}

/** Reads a JWK set as far as it is one object; refused with INMESH_BUNDLE_INVALID otherwise. */
export function readJwkSet(trustDomain: string, text: string | Uint8Array): JsonObject {
  if (text.length > MAX_BUNDLE_BYTES)
    throw badBundle(trustDomain, `more than ${MAX_BUNDLE_BYTES} bytes of text`);
  const set = parseStrictJson(text, (what) => badBundle(trustDomain, `text that can't be read: ${what}`));
  if (!isJsonObject(set)) throw badBundle(trustDomain, 'no JSON object');
  return set;
}

/** The entries of `keys`, each an object. */
export function keysOf({ keys }: JsonObject, trustDomain: string): readonly JsonObject[] {
  // SPIFFE bundle §4.1.3: it MUST be present; when it is empty, every key is revoked.
  if (!Array.isArray(keys)) throw badBundle(trustDomain, 'no array "keys"');
  if (keys.length > MAX_KEYS) throw badBundle(trustDomain, `more than ${MAX_KEYS} keys`);
  return keys.map((key: JsonObject[string]) => {
    if (!isJsonObject(key)) throw badBundle(trustDomain, 'a key that is no object');
    return key;
  });
}

/** The bundle of entries that sign JWT-SVIDs. Those of a kind unknown here, or without an ID to be named by, are ignored. */
export function jwtBundleOf(trustDomain: string, entries: readonly JsonObject[]): JwtBundle {
  const usable = entries.filter((entry) => {
    const { kid } = entry;
    return kid !== undefined && kid !== '' && isKnownKeyType(entry);
  });
  return createJwtBundle(
    trustDomain,
    usable.map(({ kid, ...jwk }) => {
      if (typeof kid !== 'string') throw badBundle(trustDomain, 'a key ID that is no text');
      const key = readJwk(jwk);
      if (!(key instanceof KeyObject))
        throw badBundle(
          trustDomain,
          `the key ${JSON.stringify(kid.slice(0, 100))} that can't be used: ${key}`,
        );
      return [kid, key] as const;
    }),
  );
}

/** What a bundle has that it must not have. */
export function badBundle(trustDomain: string, what: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_BUNDLE_INVALID', `the bundle is refused: it has ${what}`, {
    resource: `bundle of trust domain ${trustDomain}`,
    cause,
    hint: 'Publish it as the SPIFFE Trust Domain and Bundle standard says: a JWK set with "use" x509-svid or jwt-svid',
  });
}
