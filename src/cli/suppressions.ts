import { FINDING_CODES, parseSuppression, type Suppression } from '../control-plane.js';
import { MeshError } from '../runtime/errors.js';
import type { Output } from './output.js';

/**
 * Reads what `--suppress` was given; a code that no finding has is told, and has no effect (as istioctl has it).
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function readSuppressions(
  texts: readonly string[] | undefined,
  output: Output,
): readonly Suppression[] {
  return (texts ?? []).map((text) => {
    const suppression = parseSuppression(text);
    if (suppression === undefined) {
      throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(text)} is no suppression`, {
        hint: 'Write a code such as IST0102, or IST0101=VirtualService shop/cart',
      });
    }
    const { code } = suppression;
    if (code !== '*' && !Object.hasOwn(FINDING_CODES, code)) {
      output.err(`no finding has the code ${code}: its suppression has no effect\n`);
    }
    return suppression;
  });
}
