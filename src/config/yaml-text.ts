/** Data as JSON could write it. */
export type Plain = null | string | number | boolean | readonly Plain[] | { readonly [name: string]: Plain };

/**
 * YAML 1.2 of plain data in block style, which parsers of YAML 1.1 (kubectl's) read alike. The order of fields is that of
 * the data, and equal data is equal text.
 */
export function yamlText(value: Plain): string {
  const lines: string[] = [];
  write(value, '', '', lines);
  return `${lines.join('\n')}\n`;
}

/** Writes a value whose first line begins with `lead` (a key, or the dash of a list) and whose others are indented. */
function write(value: Plain, lead: string, indent: string, lines: string[]): void {
  if (isList(value)) writeList(value, lead, indent, lines);
  else if (typeof value === 'object' && value !== null)
    writeFields(Object.entries(value), lead, indent, lines);
  else if (typeof value === 'string' && isBlock(value)) writeBlock(value, lead, indent, lines);
  else lines.push(`${lead}${scalar(value)}`);
}

function writeBlock(value: string, lead: string, indent: string, lines: string[]): void {
  lines.push(`${lead}${value.endsWith('\n') ? '|' : '|-'}`);
  for (const line of value.replace(/\n$/, '').split('\n')) lines.push(line === '' ? '' : `${indent}${line}`);
}

/** `lead` ends in a space after a key, and the items come below it; after a dash the first stands beside it. */
function writeList(items: readonly Plain[], lead: string, indent: string, lines: string[]): void {
  const isBelow = lead.endsWith(': ');
  if (items.length === 0) lines.push(`${lead}[]`);
  else if (isBelow) lines.push(lead.trimEnd());
  for (const [index, item] of items.entries()) {
    const start = isBelow || index > 0 ? indent : lead;
    write(item, `${start}- `, `${indent}  `, lines);
  }
}

function writeFields(
  fields: readonly (readonly [string, Plain])[],
  lead: string,
  indent: string,
  lines: string[],
): void {
  const isBelow = lead.endsWith(': ');
  if (fields.length === 0) lines.push(`${lead}{}`);
  else if (isBelow) lines.push(lead.trimEnd());
  for (const [index, [name, item]] of fields.entries()) {
    const start = isBelow || index > 0 ? indent : lead;
    write(item, `${start}${scalar(name)}: `, `${indent}  `, lines);
  }
}

/** What is read as the text it is by every parser: no number, no truth value, no date, no mark of YAML's. */
const PLAIN_TEXT = /^(?:[A-Za-z_/][\w./@~-]*|\d+(?:ms|s|m|h))$/;
const OTHER_MEANING = /^(?:y|n|yes|no|on|off|true|false|null|nan|inf|infinity|e\d+)$/i;

function scalar(value: null | string | number | boolean): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return PLAIN_TEXT.test(value) && !OTHER_MEANING.test(value) ? value : quoted(value);
}

/** JSON's text, with everything in escapes that YAML would not print. */
function quoted(value: string): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Lines of printable text that a block shows as they are: none begins it with a space or ends in one. */
const BLOCK =
  /^[^\s\p{Cc}][^\p{Cc}\u2028\u2029\ufeff\ufffe\uffff]*(?:\n[^\p{Cc}\u2028\u2029\ufeff\ufffe\uffff]*)*$/u;

function isBlock(value: string): boolean {
  if (!value.includes('\n') || value === '\n' || value.endsWith('\n\n')) return false;
  return BLOCK.test(value) && !/[ \t]$/m.test(value);
}

/** Array.isArray does not tell lists that are read-only. */
function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}
