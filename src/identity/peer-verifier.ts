import { createHash } from 'node:crypto';
import type { X509Bundle } from './bundle.js';
import {
  checkAuthorized,
  type VerifiedChain,
  type VerifiedPeer,
  type VerifyOptions,
  verifyChain,
} from './verify.js';

/** Chains that are remembered; a workload has about as many peers as this at most. */
const MAX_REMEMBERED = 1000;

/**
 * Verifies peers, and remembers which chains held: a peer that connects again with the very same bytes, while the same
 * bundle vouches for it, costs a hash instead of parsing and signatures (8 us instead of 250). Dates and the authorizer
 * are looked at each time; what did not hold is looked at again. A bundle is immutable: new roots, or something
 * revoked, make a new one.
 */
export class PeerVerifier {
  readonly #bundleOf: (trustDomain: string) => X509Bundle | undefined;
  readonly #remembered = new Map<string, VerifiedChain>();

  constructor(bundleOf: (trustDomain: string) => X509Bundle | undefined) {
    this.#bundleOf = bundleOf;
  }

  verify(chain: readonly Uint8Array[], { nowMs, authorizer }: VerifyOptions): VerifiedPeer {
    const key = keyOf(chain);
    let verified = this.#remembered.get(key);
    if (verified === undefined || !this.#stillHolds(verified, nowMs)) {
      this.#remembered.delete(key);
      verified = verifyChain(chain, this.#bundleOf, nowMs);
      this.#remember(key, verified);
    }
    const { id, notAfterMs } = verified;
    checkAuthorized(id, authorizer);
    return { id, notAfterMs };
  }

  #stillHolds({ id, bundle, notBeforeMs, notAfterMs }: VerifiedChain, nowMs: number): boolean {
    return nowMs >= notBeforeMs && nowMs <= notAfterMs && this.#bundleOf(id.trustDomain) === bundle;
  }

  #remember(key: string, verified: VerifiedChain): void {
    this.#remembered.set(key, verified);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
  }
}

/** SHA-256 over every certificate with its length, so that no two chains are the same text. */
function keyOf(chain: readonly Uint8Array[]): string {
  const digest = createHash('sha256');
  for (const der of chain) digest.update(`${der.length}.`).update(der);
  return digest.digest('base64');
}
