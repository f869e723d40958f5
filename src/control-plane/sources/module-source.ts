import type { Clock } from '../../runtime/clock.js';
import { debounce } from '../../runtime/debounce.js';
import { readModule } from './config-module.js';
import type { ConfigSource } from './source.js';
import { watchPaths } from './watch-paths.js';

/** How a module is read as a source. */
export interface ModuleSourceOptions {
  /** Whether it is run again when its file changes (what it imports is not watched). Default false: once. */
  readonly watch?: boolean | undefined;
}

/**
 * Makes a source of the mesh that a module (`mesh.config.ts`) exports. It runs the module: name none that others may
 * write.
 */
export function createModuleSource(
  path: string,
  { watch = false }: ModuleSourceOptions,
  clock: Clock,
): ConfigSource {
  return {
    async run(sink, signal) {
      let last: Promise<void> = Promise.resolve();
      const read = (): void => {
        // One after the other, so that the newest is what stays.
        last = last.then(async () => {
          const input = await readModule(path);
          if (!signal.aborted) sink.propose(path, input);
        });
      };
      const soon = debounce(read, { quietMs: 50, maxMs: 500 }, clock);
      const watching = watch ? watchPaths([path], () => soon.call()) : undefined;
      read();
      if (!signal.aborted)
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      soon.cancel();
      watching?.close();
      await last;
    },
  };
}
