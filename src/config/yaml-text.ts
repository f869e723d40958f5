import { Document, visit } from 'yaml';

/** Data as JSON could write it. */
export type Plain = null | string | number | boolean | readonly Plain[] | { readonly [name: string]: Plain };

/**
 * YAML 1.2 of plain data in block style, which parsers of YAML 1.1 (kubectl's) read alike. The order of fields is that of
 * the data, and equal data is equal text.
 */
export function yamlText(value: Plain): string {
  const document = new Document(value, { compat: 'yaml-1.1', aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_key, scalar) {
      if (typeof scalar.value === 'string' && !isShownAsItIs(scalar.value)) scalar.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString({ lineWidth: 0 });
}

const UNPRINTABLE = /[\p{Cc}\p{Cs}\u2028\u2029\ufeff\ufffe\uffff]/u;

/**
 * Whether the parsers read a text as it is when it stands in a line, or in a block of lines: of printable characters, and
 * without the spaces and empty lines at the ends that they take for the block's own.
 */
function isShownAsItIs(text: string): boolean {
  const lines = text.replace(/\n$/, '').split('\n');
  if (lines.some((line) => UNPRINTABLE.test(line))) return false;
  return lines.length === 1
    ? !text.endsWith('\n')
    : !/^\s/.test(text) && !text.endsWith('\n\n') && !lines.some((line) => /[ \t]$/.test(line));
}
