import type { RunningMesh } from '../mesh/mesh.js';
import type { Unsubscribe } from '../runtime/abort.js';
import { MeshError } from '../runtime/errors.js';
import type { LoadReports } from './http/load/load-reports.js';

/** What a binding of servers needs of a mesh besides its public face. */
export interface Serving {
  readonly mesh: RunningMesh;
  readonly loads: LoadReports;
  /** Has a server closed when the mesh is. */
  add(server: { close(): Promise<void> }): Unsubscribe;
}

const servings = new WeakMap<object, Serving>();

/** Tells how servers join a mesh. */
export function setServing(mesh: object, serving: Serving): void {
  servings.set(mesh, serving);
}

/**
 * How servers join a mesh.
 * @throws MeshError `INMESH_OPTION_INVALID` for what is no mesh.
 */
export function servingOf(mesh: object): Serving {
  const serving = servings.get(mesh);
  if (serving !== undefined) return serving;
  throw new MeshError('INMESH_OPTION_INVALID', 'this is no mesh', {
    hint: 'Give what createMesh() resolves to',
  });
}
