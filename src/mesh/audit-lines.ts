import type { Audited } from '../filters/filter.js';
import type { Logger } from '../runtime/log.js';

/** Writes a line for what a policy of action AUDIT matched: who asked for what, by which rule. */
export function auditLines(logger: Logger): Audited {
  return (policy, what, { connection }) => {
    const { uriSans = [] } = connection?.tls?.peer ?? {};
    const line = {
      policy,
      // The query may hold what is nobody's business.
      request: what.replace(/\?.*$/s, ''),
      principal: uriSans[0] ?? '-',
      source: connection?.directRemote?.address ?? '-',
    };
    logger.info(line, 'audit');
  };
}
