import type { Mesh } from './bindings/join.js';
import { MeshDispatcher } from './bindings/undici/dispatcher.js';
import { createDispatchingFetch } from './bindings/undici/fetch.js';

/**
 * Makes a `fetch` that goes through the mesh, for libraries that take a fetch function. It is the platform's own
 * fetch underneath; `mesh.fetch` is one that is made already.
 */
export function createFetch(mesh: Mesh): typeof globalThis.fetch {
  return createDispatchingFetch(new MeshDispatcher(mesh));
}
