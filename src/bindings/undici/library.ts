import { createRequire } from 'node:module';
import type * as Undici from 'undici';

/**
 * Loading undici replaces the dispatcher of the platform's own fetch, unless that was touched before: reading one of
 * fetch's globals makes Node load its bundled copy first. An `import` would be hoisted above this line, so undici is
 * required, which also spares the analysis that importing CommonJS costs.
 */
void globalThis.Headers;

const undici: typeof Undici = createRequire(import.meta.url)('undici');

export const { Agent, Client, buildConnector } = undici;

/** undici's Dispatcher class; its types come from undici itself. */
export const DispatcherClass: typeof Undici.Dispatcher = undici.Dispatcher;
