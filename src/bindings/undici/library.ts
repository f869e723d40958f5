import { createRequire } from 'node:module';
import type * as Undici from 'undici';

/**
 * Loading undici replaces the dispatcher of the platform's own fetch, unless that was touched before: reading one of
 * fetch's globals makes Node load its bundled copy first. An `import` would be hoisted above this line, so undici is
 * required, which also spares the analysis that importing CommonJS costs.
 */
void globalThis.Headers;

const requireModule = createRequire(import.meta.url);

/** undici as a whole, for its fetch and the classes of it. */
export const undici: typeof Undici = requireModule('undici');

export const { Agent, Client } = undici;

/** undici's Dispatcher class; its types come from undici itself. */
export const DispatcherClass: typeof Undici.Dispatcher = undici.Dispatcher;

/** A module inside undici; throws when this version has none of that name. Whoever uses one must check what it holds. */
export function undiciModule(path: string): unknown {
  return requireModule(`undici/${path}`);
}
