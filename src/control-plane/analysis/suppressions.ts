import type { AnalysisDocument } from './document.js';

/** Findings that nobody wants to see: of a code, about all documents or those whose origin fits a pattern. */
export interface Suppression {
  /** `IST0101`; `*` = every code. */
  readonly code: string;
  /** `Kind namespace/name` or Istio's `Kind name.namespace`, with `*` for any text; undefined = every document. */
  readonly origin?: string | undefined;
}

const ANNOTATION = 'galley.istio.io/analyze-suppress';

/** Reads `IST0101` or `IST0101=VirtualService shop/*`; undefined when it is neither. */
export function parseSuppression(text: string): Suppression | undefined {
  const parsed = /^(\*|[A-Z]{3}\d{4})(?:=(.+))?$/.exec(text.trim());
  if (parsed === null) return undefined;
  const [, code = '*', origin] = parsed;
  return { code, origin };
}

/** Whether the document itself asks for silence about the code (Istio: `galley.istio.io/analyze-suppress`). */
export function isSuppressedByAnnotation({ annotations }: AnalysisDocument, code: string): boolean {
  const codes = (annotations[ANNOTATION] ?? '').split(',').map((one) => one.trim());
  return codes.includes('*') || codes.includes(code);
}

/** Makes a test of suppressions. */
export function suppressionTest(
  suppressions: readonly Suppression[],
): (code: string, document: AnalysisDocument) => boolean {
  const tests = suppressions.map(({ code, origin }) => ({ code, pattern: origin && patternOf(origin) }));
  return (code, { kind, namespace, name }) =>
    tests.some(
      (test) =>
        (test.code === '*' || test.code === code) &&
        (!test.pattern ||
          [`${kind} ${namespace}/${name}`, `${kind} ${name}.${namespace}`, `${kind} ${name}`].some((origin) =>
            fits(test.pattern || '', origin),
          )),
    );
}

const patternOf = (origin: string): string => origin.trim().replaceAll(/\s+/g, ' ');

/** Whether a text fits a pattern whose `*` stand for any text; linear in both for each star. */
function fits(pattern: string, text: string): boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return pattern === text;
  const [first = '', last = ''] = [parts[0], parts.at(-1)];
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length)
    return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > text.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}
