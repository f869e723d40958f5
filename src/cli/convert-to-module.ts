import { type MeshDocument, toModule } from '../config.js';
import { readObjects, validateFiles } from '../control-plane.js';
import { counted } from '../runtime/counted.js';
import type { Output } from './output.js';
import { tellInvalid } from './tell-invalid.js';

/** Prints documents as a module of `inmesh/config`; 1 = they are invalid, so that it would not compile. */
export async function convertToModule(files: readonly string[], output: Output): Promise<number> {
  const { objects, violations: unreadable } = await readObjects(files);
  if (unreadable.length > 0) return tellInvalid(unreadable, 'table', output);
  const { violations } = await validateFiles(files, { strict: false });
  if (violations.some(({ severity }) => severity === 'error'))
    return tellInvalid(violations, 'table', output);
  // They are valid: it was just looked at.
  output.out(toModule(objects.map(({ object }) => object as unknown as MeshDocument)));
  output.err(
    `${counted(objects.length, 'document')}: save them as mesh.config.ts, and give that wherever -f takes files\n`,
  );
  return 0;
}
