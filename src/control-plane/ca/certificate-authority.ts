import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { X509Bundle } from '../../identity/bundle.js';
import { createCsrFor, readCsr } from '../../identity/csr.js';
import { loadDerEncoder } from '../../identity/der-encode.js';
import { writePem } from '../../identity/pem.js';
import { parseTrustDomain, type SpiffeId } from '../../identity/spiffe-id.js';
import type { TrustDocument } from '../../model/trust.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import { type Clock, systemClock } from '../../runtime/clock.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import { type Logger, silentLogger } from '../../runtime/log.js';
import type { AuditLog } from '../audit/audit-log.js';
import { AuthorityLife, type AuthorityOrigin, createMemoryCaStore } from './authority-life.js';
import { type CaStatus, describeAuthority } from './ca-status.js';
import { ExternalOrigin } from './external-origin.js';
import { type CaSigner, signExternally } from './external-signer.js';
import {
  checkId,
  createIssuer,
  type IssuedCertificate,
  type Issuer,
  type Leaf,
  type LifePolicy,
  refused,
  validityOf,
} from './issuer.js';
import { OwnOrigin } from './own-origin.js';
import type { PluggedCa } from './plugged-authority.js';
import { PluggedOrigin } from './plugged-origin.js';
import { RevocationDesk } from './revocation-desk.js';
import type { CaKeyType, CaStore } from './root.js';
import { createServerKey } from './root.js';
import { type CaRotation, createRotation } from './rotation-steps.js';

const DAY_MS = 86_400_000;

/** How a certificate authority is opened; all but its trust domain has a default. */
export interface CertificateAuthorityOptions extends LifePolicy {
  readonly trustDomain: string;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Default 3650 days. */
  readonly rootLifeMs?: number;
  /** Default `ecdsa-p256`. */
  readonly keyType?: CaKeyType;
  /** Leaves are signed by intermediates that live so long and follow each other by themselves; default: by the root. */
  readonly intermediateLifeMs?: number;
  /** Where keys and roots are kept; in memory only when absent. */
  readonly store?: CaStore | undefined;
  /** Encrypts the keys that are kept (PBES2, AES-256); without it the mode of their file protects them. */
  readonly passphrase?: string | undefined;
  /** An intermediate that somebody else made, in files; they are read again when they change. */
  readonly plugged?: PluggedCa | undefined;
  /** Signs in place of a key that is here. */
  readonly signer?: CaSigner | undefined;
  /** Hears of every certificate after it was signed. */
  readonly audit?: ((record: IssueRecord) => void) | undefined;
  /** Where every certificate is written down before it leaves, and every refusal. */
  readonly auditLog?: AuditLog | undefined;
  /** Changes nothing by itself, and makes no root: for tools beside a control plane that uses the same store. */
  readonly offline?: boolean;
  /** Renewals that a change of roots causes are spread over so long; default 10 s. */
  readonly renewWithinMs?: number;
}

/** One line of the authority's audit trail. */
export interface IssueRecord {
  readonly id: string;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly kind: 'workload' | 'server';
}

/** What a workload certificate is made from. */
export interface IssueRequest {
  /** Contributes its public key and nothing else. */
  readonly csrPem: string;
  /** Who the authenticated caller is; the only name in the certificate. */
  readonly id: SpiffeId;
  readonly lifeMs?: number | undefined;
}

/** Who asks for a certificate, for the audit log and for the rotation of roots. */
export interface CertifyRequest extends IssueRequest {
  /** Who says who the caller is. */
  readonly authenticator?: string | undefined;
  /** Address of its end. */
  readonly peer?: string | undefined;
  /** Id of its node in xDS: a rotation waits until it has a certificate of the new root. */
  readonly instance?: string | undefined;
  /** Istio's `CertSigner`, for an external authority. */
  readonly certSigner?: string | undefined;
}

/** What the certificate of a server in this process is made from. */
export interface IssueServerRequest {
  readonly id: SpiffeId;
  readonly dnsNames?: readonly string[];
  /** IP addresses in bytes, 4 or 16. */
  readonly ips?: readonly Uint8Array[];
  readonly lifeMs?: number | undefined;
}

/** Issues the X.509-SVIDs of one trust domain. */
export interface CertificateAuthority {
  readonly trustDomain: string;
  /** Whether somebody else signs: then `issue` and `issueWithKey` can't, and `certify` waits for it. */
  readonly isExternal: boolean;
  /** PEM of the root that signs now, directly or through an intermediate. */
  rootPem(): string;
  /** The bundle that vouches for what this authority issued: all roots in use, and what was taken back. */
  bundle(): X509Bundle;
  /** Whom members are to trust. */
  trust(): TrustDocument;
  /** Calls `listener` after each change of `trust()` or of what signs. */
  onChange(listener: () => void): Unsubscribe;
  /** Issues to a workload; refuses with INMESH_CSR_INVALID or INMESH_CA_REFUSED. */
  issue(request: IssueRequest): IssuedCertificate;
  /** Issues to a workload, here or elsewhere, and writes it down before it answers. */
  certify(request: CertifyRequest): Promise<IssuedCertificate>;
  /** Issues to a workload that gets its key from here (SDS); refuses with INMESH_CA_REFUSED. */
  issueWithKey(id: SpiffeId): IssuedCertificate & { readonly privateKey: KeyObject };
  /** Issues to a server of this process, with a new key and DNS and IP names besides its identity. */
  issueServer(request: IssueServerRequest): Promise<IssuedCertificate & { readonly privateKey: KeyObject }>;
  /** The life of its roots. */
  readonly rotation: CaRotation;
  /** What was taken back. */
  readonly revocation: RevocationDesk;
  /** Trusts other trust domains, and has members trust them. */
  setFederated(bundles: readonly X509Bundle[]): void;
  status(): CaStatus;
  /** Looks for changes that other processes made and files that changed, and renews intermediates that are due. */
  refresh(): Promise<void>;
}

/** Opens the authority of a trust domain: loads its roots, or makes one. */
export async function createCertificateAuthority(
  options: CertificateAuthorityOptions,
): Promise<CertificateAuthority> {
  const trustDomain = parseTrustDomain(options.trustDomain);
  const clock = options.clock ?? systemClock;
  const resolved = { ...options, trustDomain, clock };
  const own = ownOrigin(resolved);
  const [encoder, origin] = await Promise.all([loadDerEncoder(), originOf(resolved, own)]);
  const life = await AuthorityLife.open({
    trustDomain,
    store: options.store ?? createMemoryCaStore(),
    origin,
    clock,
    renewWithinMs: options.renewWithinMs ?? 10_000,
  });
  return new Authority(resolved, { life, encoder, own: origin === own ? own : undefined });
}

type Resolved = CertificateAuthorityOptions & { readonly clock: Clock };

function ownOrigin(options: Resolved) {
  const { trustDomain, clock, keyType, rootLifeMs, intermediateLifeMs, passphrase, offline } = options;
  return new OwnOrigin({
    trustDomain,
    clock,
    keyType: keyType ?? 'ecdsa-p256',
    rootLifeMs: rootLifeMs ?? 3650 * DAY_MS,
    intermediateLifeMs,
    passphrase: passphrase === '' ? undefined : passphrase,
    isOffline: offline === true,
  });
}

function originOf(options: Resolved, own: OwnOrigin): Promise<AuthorityOrigin> | AuthorityOrigin {
  const { plugged, signer, trustDomain, clock, logger = silentLogger } = options;
  if (plugged !== undefined && signer !== undefined) {
    throw new MeshError('INMESH_OPTION_INVALID', 'an authority is plugged in or external, not both', {
      hint: 'Leave out plugged or signer',
    });
  }
  if (signer !== undefined) return ExternalOrigin.open(trustDomain, clock, () => signer.roots());
  if (plugged !== undefined) return PluggedOrigin.open({ trustDomain, files: plugged, clock, logger });
  return own;
}

interface Parts {
  readonly life: AuthorityLife;
  readonly encoder: Parameters<typeof createIssuer>[0];
  readonly own: OwnOrigin | undefined;
}

class Authority implements CertificateAuthority {
  readonly rotation: CaRotation;
  readonly revocation: RevocationDesk;
  readonly #options: Resolved;
  readonly #life: AuthorityLife;
  readonly #encoder: Parts['encoder'];
  readonly #counts = { issued: 0, refused: 0, failed: 0 };
  #issuer: { readonly of: unknown; readonly issue: Issuer } | undefined;

  constructor(options: Resolved, { life, encoder, own }: Parts) {
    this.#options = options;
    this.#life = life;
    this.#encoder = encoder;
    this.rotation = createRotation(life, own, options);
    this.revocation = new RevocationDesk(life, encoder, options.clock);
  }

  get trustDomain(): string {
    return this.#options.trustDomain;
  }

  get isExternal(): boolean {
    return this.#options.signer !== undefined;
  }

  rootPem(): string {
    const { issuing, trust } = this.#life;
    return issuing?.rootPem ?? trust.bundle.authorities[0] ?? '';
  }

  bundle(): X509Bundle {
    return this.#life.trust.bundle;
  }

  trust(): TrustDocument {
    return this.#life.trust.document;
  }

  onChange(listener: () => void): Unsubscribe {
    return this.#life.onChange(listener);
  }

  issue({ csrPem, id, lifeMs }: IssueRequest): IssuedCertificate {
    const { publicKey, spkiDer } = readCsr(csrPem);
    return this.#sign(
      { id, names: { uris: [id.toString()] }, spkiDer, keyType: publicKey.asymmetricKeyType, lifeMs },
      'workload',
    );
  }

  async certify(request: CertifyRequest): Promise<IssuedCertificate> {
    const { auditLog } = this.#options;
    let issued: IssuedCertificate;
    try {
      issued = this.isExternal ? await this.#signElsewhere(request, {}) : this.issue(request);
    } catch (error) {
      const isRefusal =
        MeshError.is(error) && (error.code === 'INMESH_CA_REFUSED' || error.code === 'INMESH_CSR_INVALID');
      this.#counts[isRefusal ? 'refused' : 'failed']++;
      auditLog?.note({
        ...auditOf(request),
        outcome: isRefusal ? 'refused' : 'failed',
        reason: messageOf(error),
      });
      throw error;
    }
    // Nothing leaves that is not written down.
    await auditLog?.record({
      ...auditOf(request),
      outcome: 'allowed',
      details: {
        serial: issued.serial,
        notBefore: new Date(issued.notBeforeMs).toISOString(),
        notAfter: new Date(issued.notAfterMs).toISOString(),
      },
    });
    this.rotation.holds(request.id.toString(), request.instance, issued);
    return issued;
  }

  issueWithKey(id: SpiffeId): IssuedCertificate & { readonly privateKey: KeyObject } {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spkiDer = publicKey.export({ type: 'spki', format: 'der' });
    const names = { uris: [id.toString()] };
    const issued = this.#sign({ id, names, spkiDer, keyType: 'ec', lifeMs: undefined }, 'workload');
    this.#options.auditLog
      ?.record({
        ...auditOf({ id, authenticator: 'sds' }),
        outcome: 'allowed',
        details: { serial: issued.serial },
      })
      // It says so in the log itself.
      .catch(() => {});
    return { ...issued, privateKey };
  }

  async issueServer({ id, dnsNames = [], ips = [], lifeMs }: IssueServerRequest) {
    const { privateKey, spkiDer } = await createServerKey();
    if (this.isExternal) {
      const csrPem = await createCsrFor(id, privateKey);
      return { ...(await this.#signElsewhere({ csrPem, id, lifeMs }, { dnsNames, ips })), privateKey };
    }
    const names = { uris: [id.toString()], dnsNames, ips };
    return { ...this.#sign({ id, names, spkiDer, keyType: 'ec', lifeMs }, 'server'), privateKey };
  }

  setFederated(bundles: readonly X509Bundle[]): void {
    this.#life.setFederated(bundles);
  }

  status(): CaStatus {
    return describeAuthority(this.#life, { ...this.#counts }, this.#options.clock.wallTime());
  }

  refresh(): Promise<void> {
    return this.#life.refresh();
  }

  #sign(leaf: Leaf, kind: IssueRecord['kind']): IssuedCertificate {
    const { clock, trustDomain, audit } = this.#options;
    checkId(leaf.id, trustDomain);
    this.#checkRevoked(leaf.id, leaf.spkiDer);
    const { issuing } = this.#life;
    if (issuing === undefined) throw elsewhere(leaf.id);
    if (this.#issuer?.of !== issuing)
      this.#issuer = {
        of: issuing,
        issue: createIssuer(this.#encoder, issuing, { ...this.#options, clock }),
      };
    const issued = this.#issuer.issue(leaf);
    this.#counts.issued++;
    const { serial, notBeforeMs, notAfterMs } = issued;
    audit?.({ id: leaf.id.toString(), kind, serial, notBeforeMs, notAfterMs });
    return issued;
  }

  async #signElsewhere(
    { csrPem, id, lifeMs, certSigner }: CertifyRequest,
    { dnsNames = [], ips = [] }: Pick<IssueServerRequest, 'dnsNames' | 'ips'>,
  ): Promise<IssuedCertificate> {
    const { signer, trustDomain, clock } = this.#options;
    checkId(id, trustDomain);
    const { spkiDer } = readCsr(csrPem);
    this.#checkRevoked(id, spkiDer);
    if (signer === undefined) throw elsewhere(id);
    const bounds = { notBeforeMs: 0, notAfterMs: Number.MAX_SAFE_INTEGER };
    const validity = validityOf(id, lifeMs, { policy: { ...this.#options, clock }, ...bounds });
    const issued = await signExternally(
      signer,
      { csrPem, spiffeId: id.toString(), dnsNames, ips, ...validity, certSigner },
      { id, spkiDer, bundle: this.bundle(), clock },
    );
    this.#counts.issued++;
    return issued;
  }

  /** Who was shut out gets no new certificate, and neither does a key that others may have. */
  #checkRevoked(id: SpiffeId, spkiDer: Uint8Array): void {
    const why = this.revocation.refusalOf(id, spkiDer);
    if (why !== undefined) throw refused(id, why);
  }
}

function auditOf({ id, authenticator, peer }: Pick<CertifyRequest, 'id' | 'authenticator' | 'peer'>) {
  return { action: 'certificate.issue', actor: id.toString(), authenticator, peer, target: id.toString() };
}

function elsewhere(id: SpiffeId): MeshError {
  return new MeshError(
    'INMESH_CA_UNAVAILABLE',
    'the certificate authority signs elsewhere, and only when it is waited for',
    {
      resource: id.toString(),
      hint: 'Use certify() in place of issue()',
    },
  );
}

/** DER as the one PEM block that lists are published in. */
export function crlPem(der: Uint8Array): string {
  return writePem(der, 'X509 CRL');
}
