import type { Logger } from '../../runtime/log.js';
import type { AuditLog, AuditRecord } from './audit-log.js';

/** An audit log without a disk: its lines go where the other messages go. */
export function createLoggedAudit(logger: Logger): AuditLog {
  const note = ({ action, ...rest }: AuditRecord) => {
    const fields = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    if (rest.outcome === 'allowed') logger.info({ action, ...fields }, 'audit');
    else logger.warn({ action, ...fields }, 'audit');
  };
  return {
    record(record) {
      note(record);
      return Promise.resolve();
    },
    note,
    close: () => Promise.resolve(),
  };
}
