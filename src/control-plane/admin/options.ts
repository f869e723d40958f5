import type { MeshTls } from '../../identity/tls-options.js';
import type { Clock } from '../../runtime/clock.js';
import type { Logger } from '../../runtime/log.js';
import type { JoinTokens } from '../access/join-tokens.js';
import type { Operators } from '../access/roles.js';
import type { AuditLog } from '../audit/audit-log.js';
import type { ConfigService } from '../config/config-service.js';
import type { SentDocumentsService } from '../files/sent-documents.js';
import type { MtlsReport } from '../insight/mtls-report.js';
import type { WorkloadRegistry } from '../registry/registry.js';
import type { AppliedReport } from '../serve/applied.js';
import type { ClientConfig } from '../serve/client-config.js';
import type { ClientSync } from '../serve/client-sync.js';
import type { ConfigStore } from '../store/config-store.js';
import type { AdminStatus } from './status.js';
import type { WorkBudget } from './work-budget.js';

/** What the status API works with. */
export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  /** Set = HTTPS, with client certificates for those that have one. */
  readonly tls: MeshTls | undefined;
  readonly operators: Operators;
  /** Names besides those of loopback that the API is called by. */
  readonly hosts: readonly string[];
  readonly audit: AuditLog;
  readonly joinTokens: JoinTokens;
  readonly trustDomain: string;
  readonly status: () => AdminStatus;
  /** Waits until a revision has arrived everywhere; undefined = the one in force. */
  readonly waitApplied: (revision: number | undefined, timeoutMs: number) => Promise<AppliedReport>;
  /** What each client reports of its load. */
  readonly loadByClient: () => readonly object[];
  /** Who speaks mTLS to whom, in a namespace or everywhere. */
  readonly mtls: (namespace: string | undefined) => MtlsReport;
  readonly store: ConfigStore;
  readonly config: ConfigService;
  /** What documents come to that are sent along. */
  readonly documents: SentDocumentsService;
  /** What may be worked out for callers. */
  readonly work: WorkBudget;
  /** What a client was sent, by its id or a part of it that only one has, and by type. */
  readonly clientConfig: (id: string, type: string | undefined) => ClientConfig | undefined;
  /** What a client holds against what it would be sent now. */
  readonly clientSync: (id: string) => ClientSync | undefined;
  readonly registry: WorkloadRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}
