import type { Report } from './report.js';
import type { FieldPath } from './view.js';

const PREFIX = 'unix://';

/** Whether the address is one of a unix socket. */
export function isUnixAddress(address: string): boolean {
  return address.startsWith(PREFIX);
}

/** The address of a unix socket: an absolute path to a file, or an abstract name (Istio: ValidateUnixAddress). */
export function checkUnixPath(address: string, path: FieldPath, report: Report): void {
  const socket = address.slice(PREFIX.length);
  if (socket.startsWith('@')) return;
  if (!socket.startsWith('/') || socket.endsWith('/')) {
    report.invalid(path, 'a unix socket needs an absolute path or an abstract name (@name)');
  }
}
