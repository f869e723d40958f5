import { closestKind, jsonSchemaOf, jsonSchemaOfAll, SCHEMA_KINDS } from '../control-plane.js';
import type { Output } from './output.js';

/** Prints the JSON Schema of a kind or of all, or the names of the kinds: 0 printed, 2 no such kind. */
export function schema(kind: string | undefined, output: Output): number {
  if (kind === undefined) {
    output.out(`${SCHEMA_KINDS.join('\n')}\n`);
    return 0;
  }
  const value = kind === 'all' ? jsonSchemaOfAll() : jsonSchemaOf(kind);
  if (value === undefined) {
    const close = closestKind(kind);
    const hint = close === undefined ? 'inmesh schema lists the kinds' : `did you mean ${close}?`;
    output.err(`error: there is no kind ${JSON.stringify(kind)}; ${hint}\n`);
    return 2;
  }
  output.out(`${JSON.stringify(value, undefined, 2)}\n`);
  return 0;
}
