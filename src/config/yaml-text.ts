import { stringify } from 'yaml';

/** Data as JSON could write it. */
export type Plain = null | string | number | boolean | readonly Plain[] | { readonly [name: string]: Plain };

/**
 * YAML 1.2 of plain data in block style, which parsers of YAML 1.1 (kubectl's) read alike. The order of fields is that of
 * the data, and equal data is equal text.
 */
export function yamlText(value: Plain): string {
  return stringify(value, { compat: 'yaml-1.1', lineWidth: 0, aliasDuplicateObjects: false });
}
