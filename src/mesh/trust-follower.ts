import { createX509Bundle } from '../identity/bundle.js';
import { revocationList } from '../identity/revocation.js';
import type { RotatingSource } from '../identity/rotation.js';
import type { Trust } from '../identity/trust.js';
import type { Secret } from '../model/secret.js';
import { TRUST_SECRET, type TrustDocument } from '../model/trust.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';

/** What it works for. */
interface TrustFollowing {
  readonly identity: RotatingSource;
  readonly logger: Logger;
}

/** Hands what the control plane says of whom to trust to the identity of this workload. */
export class TrustFollower {
  readonly #mesh: TrustFollowing;
  #document: TrustDocument | undefined;

  constructor(mesh: TrustFollowing) {
    this.#mesh = mesh;
  }

  /** Takes the secrets of the configuration in force; without a trust document the last one stays in force. */
  follow(secrets: ReadonlyMap<string, Secret> | undefined): void {
    const secret = secrets?.get(TRUST_SECRET);
    if (secret?.kind !== 'trust' || secret.trust === this.#document) return;
    this.#document = secret.trust;
    try {
      this.#mesh.identity.trust?.(trustOf(secret.trust));
    } catch (error) {
      this.#mesh.logger.error(
        { error: messageOf(error) },
        'whom to trust is not understood; what was said before stays in force',
      );
    }
  }
}

function trustOf({
  trustDomain,
  bundles,
  revoked,
  tainted,
  distrusted,
  renewWithinMs,
}: TrustDocument): Trust {
  return {
    trustDomain,
    bundles: bundles.map((one) => {
      const names = one.trustDomain === trustDomain ? revoked : one.revoked;
      return createX509Bundle(one.trustDomain, one.authorities, names && revocationList(names));
    }),
    tainted: new Set(tainted),
    distrusted: new Set(distrusted),
    renewWithinMs,
  };
}
