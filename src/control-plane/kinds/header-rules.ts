import { entriesOf, type Report } from './report.js';
import type { HttpHeaders } from './types.js';
import type { FieldPath } from './view.js';

const HEADER_NAME = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;
/** Envoy: no control characters but the tab. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/;
/** Text with variables of Envoy, `%NAME%`, `%NAME(arguments)%` or `%NAME(arguments):length%`; `%%` is the sign. */
const FORMAT = /^(?:[^%]|%%|%[A-Z0-9_]+(?:\([^)]*\))?(?::\d+)?%)*$/;

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
    checkValues(operations?.add, [...at, 'add'], maySetAuthority, report);
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
    if (CONTROL.test(value)) report.invalid([...path, name], 'the value of a header must be one line');
    else if (!FORMAT.test(value)) {
      report.invalid(
        [...path, name],
        'a % begins a variable such as %PROTOCOL%: write %% for the sign itself',
      );
    }
  }
}

function checkOperationName(name: string, path: FieldPath, maySetAuthority: boolean, report: Report): void {
  const isAuthority = /^(?::authority|host)$/i.test(name);
  if (isAuthority && maySetAuthority) return;
  if (isAuthority) report.invalid(path, 'the authority can only be changed by headers.request');
  else checkHeaderName(name, path, report);
}
