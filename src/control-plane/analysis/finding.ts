import type { FieldPath } from '../kinds/view.js';
import type { Place } from '../schema/config-file.js';
import { excerptOf } from '../schema/format.js';
import { formatPath } from '../schema/violation.js';
import type { FindingCode, Level } from './codes.js';

/** One thing that analysis found. */
export interface Finding {
  /** `IST...` are Istio's own codes, `INM...` those of inmesh. */
  readonly code: FindingCode;
  readonly level: Level;
  /** The name of the code: `ReferencedResourceNotFound`. */
  readonly name: string;
  /** What it is about: `VirtualService shop/cart`; the name of the file when it is about no document. */
  readonly origin: string;
  /** The namespace of the document; empty when it is in none. */
  readonly namespace: string;
  /** What is wrong, complete in itself. */
  readonly message: string;
  /** Who found it. */
  readonly analyzer: string;
  readonly path: FieldPath;
  readonly place: Place;
  /** What was probably meant. */
  readonly suggestion: string | undefined;
}

/**
 * The text of a finding for people: one line with place, level, code and message (and what was probably meant), then
 * the line of the file with a mark under the place. A wide one tells who found it.
 */
export function formatFinding(finding: Finding, isWide = false): string {
  const { code, level, name, origin, message, suggestion, analyzer, place, path } = finding;
  const { file, line, column } = place.origin;
  const where = line === 0 ? file : `${file}:${line}:${column}`;
  // Without lines the field says where to look.
  const field = line === 0 && path.length > 0 ? ` ${formatPath(path)}` : '';
  const hint = suggestion === undefined ? '' : ` (did you mean ${JSON.stringify(suggestion)}?)`;
  const who = isWide ? ` [${name}, ${analyzer}]` : '';
  return [`${where} ${level} ${code} ${origin}${field}: ${message}${hint}${who}`, ...excerptOf(place)].join(
    '\n',
  );
}

/** A finding as programs read it: `-o json` and the HTTP API. */
export function describeFinding({ place, path, ...finding }: Finding) {
  const { code, level, name, origin, message, suggestion, analyzer } = finding;
  const { file, line, column } = place.origin;
  return {
    code,
    level,
    name,
    origin,
    message,
    suggestion,
    file,
    line,
    column,
    path: formatPath(path),
    analyzer,
  };
}
