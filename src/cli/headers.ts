import { MeshError } from '../runtime/errors.js';

/** A header from `name:value` on the command line. */
export function headerOf(text: string): readonly [string, string] {
  const colon = text.indexOf(':', 1);
  if (colon < 1)
    throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(text)} is no header: write name:value`);
  return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()];
}
