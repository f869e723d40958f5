import { invalidFormat } from './format-error.js';

/** A part of a format string: text as it is, or a command. */
export type FormatPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'command'; readonly command: FormatCommand };

/** `%NAME(argument):maxLength%`. */
export interface FormatCommand {
  readonly name: string;
  readonly argument: string | undefined;
  readonly maxLength: number | undefined;
}

/** Envoy: the shortest argument that still ends in `)`, a length and `%`; it may hold percent signs itself. */
const COMMAND = /%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%/y;

/**
 * Takes a format string apart (Envoy's substitution format).
 * @throws MeshError `INMESH_CONFIG_INVALID` for a lone percent sign.
 */
export function parseFormat(format: string): readonly FormatPart[] {
  const parts: FormatPart[] = [];
  let text = '';
  for (let at = 0; at < format.length; ) {
    const char = format[at] ?? '';
    if (char !== '%') {
      text += char;
      at++;
    } else if (format[at + 1] === '%') {
      text += '%';
      at += 2;
    } else {
      COMMAND.lastIndex = at;
      const found = COMMAND.exec(format);
      if (found === null) return invalidFormat(format, `has an unfinished operator at position ${at}`);
      if (text !== '') parts.push({ kind: 'text', text });
      text = '';
      const [whole, name = '', argument, length] = found;
      const maxLength = length === undefined ? undefined : Number(length);
      parts.push({ kind: 'command', command: { name, argument, maxLength } });
      at += whole.length;
    }
  }
  if (text !== '') parts.push({ kind: 'text', text });
  return parts;
}

const LEGACY_METADATA = /%(UPSTREAM|DYNAMIC)_METADATA\(\[(.*?)\]\)%/g;
const LEGACY_STATE = /%PER_REQUEST_STATE\((.*?)\)%/g;

/** Envoy: header values may use the older forms `["a", "b"]` of metadata and `PER_REQUEST_STATE`. */
export function translateLegacy(format: string): string {
  if (!format.includes('%')) return format;
  return format
    .replaceAll(LEGACY_METADATA, (whole, source: string, list: string) => {
      const keys = jsonStrings(`[${list}]`);
      return keys === undefined ? whole : `%${source}_METADATA(${keys.join(':')})%`;
    })
    .replaceAll(LEGACY_STATE, (_, name: string) => `%FILTER_STATE(${name}:PLAIN)%`);
}

function jsonStrings(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}
