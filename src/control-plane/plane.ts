import type { CreatedJoinToken } from './access/join-tokens.js';
import type { CertificateAuthority } from './ca/certificate-authority.js';
import type { MtlsReport } from './insight/mtls-report.js';
import type { StoreRole } from './open-store.js';
import type { RuntimeLayers } from './runtime-layers.js';
import type { Violation } from './schema/violation.js';
import type { AppliedReport } from './serve/applied.js';
import type { LoadSummary } from './serve/load-reports.js';
import type { ClientStatus } from './serve/status.js';
import type { HeldChange } from './store/config-store.js';

/** A running control plane. */
export interface ControlPlane {
  /** `host:port` of each port; `xds` is empty when there is no plaintext port. */
  readonly addresses: {
    readonly xds: string;
    readonly secureXds: string;
    readonly http: string;
    /** Empty when there is no port for it. */
    readonly metrics: string;
    /** Of the bundle endpoint, where there is one. */
    readonly bundles?: string;
  };
  readonly trustDomain: string;
  /** Its certificate authority: roots, what was revoked, whom members trust. */
  readonly certificateAuthority: CertificateAuthority;
  /** PEM of the roots that vouch for this mesh: what clients need as `caRootFile` (`INMESH_CA_ROOT`). */
  rootsPem(): string;
  status(): ControlPlaneStatus;
  /** Who speaks mTLS to whom, in a namespace or everywhere, and who would be refused were it STRICT. */
  mtls(namespace?: string): MtlsReport;
  /** What clients report of the requests that they send (LRS), in sums. */
  load(): LoadSummary;
  /**
   * Makes a token by which one workload joins: it is good for one certificate, within `ttlMs` (default 10 minutes). With a
   * `dataDir` it outlives a restart.
   * @throws MeshError `INMESH_OPTION_INVALID`, `INMESH_SPIFFE_ID`, `INMESH_STORE_WRITE`.
   */
  createJoinToken(id: string, options?: { readonly ttlMs?: number }): Promise<CreatedJoinToken>;
  /**
   * Replaces the layers of the runtime that clients may ask for (RTDS); they hear of what differs.
   * @throws MeshError `INMESH_OPTION_INVALID` for a value that is none.
   */
  setRuntime(layers: RuntimeLayers): void;
  /** Calls `listener` after each proposal of configuration: taken into force, or refused. */
  onConfigChange(listener: (event: 'accepted' | 'rejected') => void): () => void;
  /**
   * Waits until every connected client has accepted everything that follows from a revision of the configuration (by
   * default the one in force), at most `timeoutMs` (default 10 s). Tells who is missing, and returns earlier when all of
   * those refuse what they were sent.
   */
  waitApplied(revision?: number, options?: { readonly timeoutMs?: number }): Promise<AppliedReport>;
  /** Stops serving; with `drainMs`, streams end one after the other over that time. Idempotent. */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

/** State of a control plane, as its status API shows it. */
export interface ControlPlaneStatus {
  readonly version: string;
  readonly trustDomain: string;
  readonly addresses: ControlPlane['addresses'];
  /** Revision of the configuration in force. */
  readonly revision: number;
  /** Whether it writes its store, or follows the control plane that does. */
  readonly store: StoreRole;
  /** What was refused since, if anything: the revision above stays in force. */
  readonly rejected: { readonly violations: readonly Violation[]; readonly at: number } | undefined;
  /** What is held back because it would remove so much at once, until it is confirmed. */
  readonly held: HeldChange | undefined;
  readonly warnings: readonly Violation[];
  readonly clients: readonly ClientStatus[];
  /** Endpoints that registered themselves. */
  readonly workloads: number;
  /** Registrations that are kept although nobody renews them, because most were lost at once. */
  readonly registrationsHeld: number;
}
