import type { Violation } from '../schema/violation.js';
import type { LoadSummary } from '../serve/load-reports.js';
import type { ClientStatus } from '../serve/status.js';
import type { AdminAuthority } from './authority.js';

/** What the admin API reports. */
export interface AdminStatus {
  readonly version: string;
  readonly revision: number;
  readonly rejected: { readonly violations: readonly Violation[]; readonly at: number } | undefined;
  readonly warnings: readonly Violation[];
  readonly clients: readonly ClientStatus[];
  readonly workloads: number;
  readonly load: LoadSummary;
  readonly ca?: AdminAuthority | undefined;
}
