import type { Report } from '../report.js';
import type { FieldPath } from '../view.js';
import type { ApiSessionPersistence } from './types.js';

/** The rules of the CRDs about session persistence. */
export function checkSession(
  session: ApiSessionPersistence | undefined,
  path: FieldPath,
  report: Report,
): void {
  if (session === undefined) return;
  const { type, cookieConfig, absoluteTimeout, sessionName } = session;
  if (cookieConfig?.lifetimeType === 'Permanent' && absoluteTimeout === undefined)
    report.invalid([...path, 'absoluteTimeout'], 'a permanent cookie needs absoluteTimeout');
  if (type === 'Header' && cookieConfig !== undefined)
    report.invalid([...path, 'cookieConfig'], 'cookieConfig is for the type Cookie only');
  if (sessionName !== undefined && !/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(sessionName))
    report.invalid(
      [...path, 'sessionName'],
      `${JSON.stringify(sessionName)} is no name of a cookie or header`,
    );
}
