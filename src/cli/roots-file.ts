import type { ControlPlane } from '../control-plane.js';
import { writeFileAtomic } from '../runtime/atomic-file.js';
import type { Logger } from '../runtime/log.js';

/** Keeps the roots of a mesh in a file as they are now: who joins after a rotation has to trust the new one. */
export async function keepRootsFile(
  plane: ControlPlane,
  path: string,
  logger: Logger,
): Promise<{ close(): Promise<void> }> {
  let written = '';
  const write = async () => {
    const roots = plane.rootsPem();
    if (roots === written) return;
    await writeFileAtomic(path, [Buffer.from(roots)], { mode: 0o644 });
    written = roots;
  };
  await write();
  let last: Promise<void> = Promise.resolve();
  const unsubscribe = plane.certificateAuthority.onChange(() => {
    last = last.then(write).catch((error: unknown) => {
      logger.error(
        { path, error: String(error) },
        'the roots could not be written: who joins does not know them',
      );
    });
  });
  return {
    async close() {
      unsubscribe();
      await last;
    },
  };
}
