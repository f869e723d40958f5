import type { Violation } from '../schema/violation.js';
import type { LoadSummary } from '../serve/load-reports.js';
import type { ClientStatus } from '../serve/status.js';
import type { HeldChange } from '../store/config-store.js';
import type { AdminAuthority } from './authority.js';

/** What the admin API reports. */
export interface AdminStatus {
  readonly version: string;
  readonly revision: number;
  readonly store: { readonly writes: boolean; readonly holder: string | undefined; readonly since: number };
  readonly rejected: { readonly violations: readonly Violation[]; readonly at: number } | undefined;
  readonly warnings: readonly Violation[];
  /** What waits for a confirmation because of how much it would take away. */
  readonly held: HeldChange | undefined;
  readonly clients: readonly ClientStatus[];
  readonly workloads: number;
  readonly registrationsHeld: number;
  readonly load: LoadSummary;
  readonly ca?: AdminAuthority | undefined;
}
