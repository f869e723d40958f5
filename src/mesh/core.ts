import type { OutboundTarget } from '../routing/host-table.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';

export type { OutboundTarget } from '../routing/host-table.js';

/** What the bindings need of a mesh. */
export interface MeshCore {
  readonly clock: Clock;
  readonly random: Random;
  /**
   * The way to an origin (`http://reviews:9080`): undefined when it is none of the mesh's hosts, `'unknown'` while
   * there is no configuration that could tell, and it is coming or the name looks like one of the mesh's.
   */
  lookup(origin: string | URL): OutboundTarget | 'unknown' | undefined;
  /**
   * Settles with the first configuration; rejects with `INMESH_CONTROL_PLANE_UNAVAILABLE` when none comes in time. For an
   * origin that does not look like the mesh's it settles also when none is coming: `lookup` then says that it is no host of it.
   */
  whenConfigured(origin?: string | URL): Promise<void>;
}
