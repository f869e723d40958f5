import { createHash } from 'node:crypto';
import type { ReadCertificate } from './read-certificate.js';
import type { SpiffeId } from './spiffe-id.js';

/**
 * What a trust domain took back before its time. It comes with the domain's bundle and is in force for every
 * verification against that bundle, of new connections and of those that are verified again.
 */
export interface RevocationList {
  /** Serial numbers in lower-case hexadecimal without leading zeros, of leaves and of intermediates. */
  readonly serials: ReadonlySet<string>;
  /** SPIFFE IDs. */
  readonly ids: ReadonlySet<string>;
  /** SHA-256 of the SubjectPublicKeyInfo in lower-case hexadecimal. */
  readonly keys: ReadonlySet<string>;
}

/** Why a chain that leads from a leaf with this ID to a root was taken back; undefined when it was not. */
export function revocationOf(
  path: readonly ReadCertificate[],
  id: SpiffeId,
  { serials, ids, keys }: RevocationList,
): string | undefined {
  if (ids.size > 0 && ids.has(id.toString())) return 'its identity was revoked';
  // The root is last: what removes a root is its absence from the bundle.
  for (const [index, { facts }] of path.entries()) {
    const what = index === 0 ? 'its' : 'an authority with its';
    if (serials.size > 0 && index < path.length - 1 && serials.has(serialText(facts.serial)))
      return index === 0 ? 'its serial number was revoked' : 'an authority of its chain was revoked';
    if (keys.size > 0 && keys.has(keyFingerprint(facts.spkiDer))) return `${what} key was revoked`;
  }
  return undefined;
}

/** A serial number as revocation lists and logs spell it. */
export function serialText(serial: Uint8Array): string {
  const text = Buffer.from(serial).toString('hex').replace(/^0+/, '');
  return text === '' ? '0' : text;
}

/** The fingerprint of a public key: SHA-256 of its SubjectPublicKeyInfo. */
export function keyFingerprint(spkiDer: Uint8Array): string {
  return createHash('sha256').update(spkiDer).digest('hex');
}

/** A list of names as a list to verify against. */
export function revocationList(names: {
  readonly serials: Iterable<string>;
  readonly ids: Iterable<string>;
  readonly keys: Iterable<string>;
}): RevocationList {
  return { serials: new Set(names.serials), ids: new Set(names.ids), keys: new Set(names.keys) };
}
