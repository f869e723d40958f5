import type { JsonObject } from '@bufbuild/protobuf';
import { atKey, type Path, refuse } from './path.js';

/** A Struct whose values are texts. */
export function decodeLabels(
  struct: JsonObject,
  path: Path,
  field: string,
): Readonly<Record<string, string>> {
  const labels = Object.entries(struct).map(([key, value]): [string, string] => [
    key,
    typeof value === 'string' ? value : refuse(atKey(path, field, key), 'must be a string'),
  ]);
  return Object.fromEntries(labels);
}
