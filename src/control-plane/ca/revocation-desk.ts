import type { DerEncoder } from '../../identity/der-encode.js';
import { keyFingerprint } from '../../identity/revocation.js';
import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe-id.js';
import type { RevokedNames } from '../../model/trust.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import type { AuthorityLife } from './authority-life.js';
import type { Revocation } from './ca-state.js';
import { encodeCrl } from './crl.js';
import { told } from './root-rotation.js';

const DAY_MS = 86_400_000;
/** A list is made anew when this part of its life is over. */
const FRESH_SHARE = 0.5;

/** What is to be taken back. */
export interface RevokeRequest {
  readonly kind: keyof RevokedNames;
  /** A serial number in hexadecimal, a SPIFFE ID, or the SHA-256 of a SubjectPublicKeyInfo. */
  readonly value: string;
  readonly reason?: string | undefined;
  /** How long it is told of; default: for ever. */
  readonly forMs?: number | undefined;
}

/** Takes certificates, identities and keys back: in force for all members within seconds, and on the list (CRL). */
export class RevocationDesk {
  readonly #life: AuthorityLife;
  readonly #encoder: DerEncoder;
  readonly #clock: Clock;
  #crl:
    | { readonly of: unknown; readonly issuing: unknown; readonly der: Uint8Array; readonly atMs: number }
    | undefined;

  constructor(life: AuthorityLife, encoder: DerEncoder, clock: Clock) {
    this.#life = life;
    this.#encoder = encoder;
    this.#clock = clock;
  }

  /** What is taken back now. */
  list(): readonly Revocation[] {
    const now = this.#clock.wallTime();
    return this.#life.state.revocations.filter(({ untilMs }) => untilMs === undefined || untilMs > now);
  }

  /** Takes something back; what already is stays. */
  async revoke(request: RevokeRequest): Promise<void> {
    const value = this.#normal(request);
    const now = this.#clock.wallTime();
    await this.#life.change((state) => {
      // What is over needs no place any more.
      const kept = state.revocations.filter(
        (one) => (one.untilMs ?? now) >= now && !(one.kind === request.kind && one.value === value),
      );
      const added: Revocation = {
        kind: request.kind,
        value,
        atMs: now,
        reason: request.reason,
        untilMs: request.forMs === undefined ? undefined : now + request.forMs,
      };
      return told({ ...state, revocations: [...kept, added] });
    });
  }

  /** Takes a revocation back; false when there is none. */
  async restore({ kind, value: text }: Pick<RevokeRequest, 'kind' | 'value'>): Promise<boolean> {
    const value = this.#normal({ kind, value: text });
    let isFound = false;
    await this.#life.change((state) => {
      const kept = state.revocations.filter((one) => one.kind !== kind || one.value !== value);
      isFound = kept.length < state.revocations.length;
      return isFound ? told({ ...state, revocations: kept }) : state;
    });
    return isFound;
  }

  /** Why nothing is issued to an identity or key. */
  refusalOf(id: SpiffeId, spkiDer: Uint8Array): string | undefined {
    const { ids, keys } = this.#life.trust.bundle.revoked ?? {};
    if (ids !== undefined && ids.size > 0 && ids.has(id.toString())) return 'its identity was revoked';
    return keys !== undefined && keys.size > 0 && keys.has(keyFingerprint(spkiDer))
      ? 'its key was revoked'
      : undefined;
  }

  /**
   * The certificate revocation list (DER), signed by what signs certificates: for those outside of the mesh.
   * @throws MeshError `INMESH_CA_UNAVAILABLE` when an external authority signs.
   */
  crl(): Uint8Array {
    const { issuing, state } = this.#life;
    if (issuing === undefined) {
      throw new MeshError(
        'INMESH_CA_UNAVAILABLE',
        'the authority that signs elsewhere has the revocation list',
        {
          resource: 'certificate authority',
          hint: 'Ask the external certificate authority for its list',
        },
      );
    }
    const now = this.#clock.wallTime();
    const known = this.#crl;
    if (
      known !== undefined &&
      known.of === state.revocations &&
      known.issuing === issuing.certificate &&
      now - known.atMs < DAY_MS * FRESH_SHARE
    )
      return known.der;
    const der = encodeCrl(this.#encoder, issuing, {
      thisUpdateMs: now,
      nextUpdateMs: Math.min(now + DAY_MS, issuing.notAfterMs),
      // Time grows by itself, also over restarts; a list made twice in a second says the same.
      number: Math.floor(now / 1000),
      revoked: this.list()
        .filter(({ kind }) => kind === 'serials')
        .map(({ value, atMs }) => ({ serial: value, atMs })),
    });
    this.#crl = { of: state.revocations, issuing: issuing.certificate, der, atMs: now };
    return der;
  }

  #normal({ kind, value }: Pick<RevokeRequest, 'kind' | 'value'>): string {
    switch (kind) {
      case 'ids': {
        const id = parseSpiffeId(value);
        if (id.trustDomain !== this.#life.state.trustDomain || id.path === '')
          throw invalid(`${value} is no workload of trust domain ${this.#life.state.trustDomain}`);
        return id.toString();
      }
      case 'keys': {
        const hex = value.replaceAll(':', '').toLowerCase();
        if (/^[0-9a-f]{64}$/.test(hex)) return hex;
        throw invalid('a key is named by the SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits');
      }
      case 'serials': {
        const hex = value
          .replace(/^0x/i, '')
          .replaceAll(':', '')
          .toLowerCase()
          .replace(/^0+(?=.)/, '');
        if (/^[0-9a-f]{1,40}$/.test(hex)) return hex;
        throw invalid('a serial number has 1 to 40 hexadecimal digits');
      }
    }
  }
}

function invalid(what: string): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', what, {
    hint: 'Take the value from the audit log, or from openssl x509 -noout -serial',
  });
}
