import type { FieldPath } from '../store/view.js';
import { entriesOf, type Report } from './report.js';
import type { HttpHeaders } from './types.js';

const HEADER_NAME = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;
const LINE_BREAK = /[\r\n\0]/;

/** A header's name is a token (RFC 9110 §5.6.2). */
export function checkHeaderName(name: string, path: FieldPath, report: Report): void {
  if (!HEADER_NAME.test(name)) report.invalid(path, `${JSON.stringify(name)} is not the name of a header`);
}

/** Headers to set, add and remove (Istio: the header manipulation rules of VirtualService). */
export function checkHeaderOperations(
  headers: HttpHeaders | undefined,
  path: FieldPath,
  report: Report,
): void {
  for (const side of ['request', 'response'] as const) {
    const operations = headers?.[side];
    const at = [...path, side];
    const maySetAuthority = side === 'request';
    checkValues(operations?.set, [...at, 'set'], maySetAuthority, report);
    checkValues(operations?.add, [...at, 'add'], false, report);
    for (const [name, where] of entriesOf(operations?.remove, [...at, 'remove'])) {
      checkOperationName(name, where, false, report);
    }
  }
}

function checkValues(
  values: Readonly<Record<string, string>> | undefined,
  path: FieldPath,
  maySetAuthority: boolean,
  report: Report,
): void {
  for (const [name, value] of Object.entries(values ?? {})) {
    checkOperationName(name, [...path, name], maySetAuthority, report);
    if (LINE_BREAK.test(value)) report.invalid([...path, name], 'the value of a header must be one line');
  }
}

function checkOperationName(name: string, path: FieldPath, maySetAuthority: boolean, report: Report): void {
  const isAuthority = /^(?::authority|host)$/i.test(name);
  if (isAuthority && maySetAuthority) return;
  if (isAuthority) report.invalid(path, 'the authority can only be changed by headers.request.set');
  else checkHeaderName(name, path, report);
}
