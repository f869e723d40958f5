import type { JWK } from 'jose';
import { readKeys } from '../../identity/jwk-set.js';
import { claimOf } from '../../routing/token-claims.js';
import type { JsonObject } from '../../runtime/strict-json.js';
import type { Token } from './token.js';

/** One key of a set, with what a token must agree with. */
interface Key {
  /** Empty = any. */
  readonly keyId: string;
  /** Empty = any that fits the kind of key. */
  readonly algorithm: string;
  readonly kind: string;
  readonly jwk: JWK;
  /** Made by the first token that needs it. */
  readonly imported: Map<string, Promise<unknown>>;
}

/** The keys of an issuer. */
export type KeySet = readonly Key[];

/** The usable keys of a JWK set; undefined when the text is no set or has no key that can be used. */
export function parseKeySet(text: string): KeySet | undefined {
  const keys = readKeys(text)?.flatMap((one) => readKey(one) ?? []) ?? [];
  return keys.length === 0 ? undefined : keys;
}

/** Public members by kind of key: whatever else is in the set stays out. */
const MEMBERS: Readonly<Record<string, readonly string[] | undefined>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
  oct: ['k'],
};

/** Algorithms that a kind of key can be used with. */
const FITTING: Readonly<Record<string, RegExp | undefined>> = {
  RSA: /^[RP]S(?:256|384|512)$/,
  EC: /^ES(?:256|384|512)$/,
  OKP: /^EdDSA$/,
  oct: /^HS(?:256|384|512)$/,
};

const CURVES: Readonly<Record<string, string | undefined>> = {
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
};

function readKey(source: JsonObject): Key | undefined {
  const kind = claimOf(source, 'kty');
  const algorithm = claimOf(source, 'alg') ?? '';
  const keyId = claimOf(source, 'kid') ?? '';
  if (typeof kind !== 'string' || typeof algorithm !== 'string' || typeof keyId !== 'string')
    return undefined;
  // RFC 7517 §4.2: a key for secrets proves nothing.
  if (claimOf(source, 'use') === 'enc') return undefined;
  const members = Object.hasOwn(MEMBERS, kind) ? MEMBERS[kind] : undefined;
  if (members === undefined || (algorithm !== '' && FITTING[kind]?.test(algorithm) !== true))
    return undefined;
  const jwk: Record<string, string> = { kty: kind };
  for (const name of members) {
    const member = claimOf(source, name);
    if (typeof member !== 'string' || member === '') return undefined;
    jwk[name] = member;
  }
  if (kind === 'OKP' && jwk['crv'] !== 'Ed25519') return undefined;
  return { keyId, algorithm, kind, jwk, imported: new Map() };
}

/**
 * Checks the signature with every key that agrees with the token's `kid` and `alg`. The algorithm must fit the kind of
 * key: a public key is never taken for a shared secret.
 */
export async function verifySignature(
  token: Token,
  keys: KeySet,
): Promise<'ok' | 'keyMismatch' | 'verification'> {
  const candidates = keys.filter(
    ({ keyId, algorithm }) =>
      (token.keyId === '' || keyId === '' || keyId === token.keyId) &&
      (algorithm === '' || algorithm === token.algorithm),
  );
  if (candidates.length === 0) return 'keyMismatch';
  // RFC 7515 §4.1.11: what must be understood is not; RFC 7797 §7 forbids the one extension that the library knows.
  if (Object.hasOwn(token.header, 'crit')) return 'verification';
  for (const key of candidates) if (await isSignedBy(token, key)) return 'ok';
  return 'verification';
}

async function isSignedBy({ text, algorithm }: Token, key: Key): Promise<boolean> {
  if (FITTING[key.kind]?.test(algorithm) !== true) return false;
  if (key.kind === 'EC' && CURVES[algorithm] !== key.jwk.crv) return false;
  const { compactVerify, importJWK } = await loadJose();
  let imported = key.imported.get(algorithm);
  if (imported === undefined) {
    imported = importJWK(key.jwk, algorithm);
    key.imported.set(algorithm, imported);
  }
  try {
    await compactVerify(text, (await imported) as Awaited<ReturnType<typeof importJWK>>, {
      algorithms: [algorithm],
    });
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
