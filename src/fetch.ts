import type { Mesh } from './bindings/join.js';
import { MeshDispatcher } from './bindings/undici/dispatcher.js';
import { createDispatchingFetch } from './bindings/undici/fetch/create-fetch.js';
import { createPlatformFetch } from './bindings/undici/fetch/platform-fetch.js';

/** How a fetch is made. */
export interface FetchOptions {
  /**
   * Whose Request, Response, Headers and FormData it gives: `undici` (default) those of the undici package, as
   * `mesh.fetch` does, at a third of the price of undici's own fetch; `platform` the global ones, for code that asks
   * `instanceof Response`, at the price of the platform's own fetch.
   */
  readonly classes?: 'undici' | 'platform';
}

/**
 * Makes a `fetch` that goes through the mesh, for libraries that take a fetch function. `mesh.fetch` is one that is
 * made already.
 */
export function createFetch(mesh: Mesh, options: FetchOptions = {}): typeof globalThis.fetch {
  const dispatcher = new MeshDispatcher(mesh);
  return options.classes === 'platform'
    ? createPlatformFetch(dispatcher)
    : createDispatchingFetch(dispatcher);
}
