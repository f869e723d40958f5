import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { ResourceSet } from '../resources/resource-set.js';
import type { Caller } from './caller.js';

/** What an explanation is made of. */
export interface ExplainWorld {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  readonly config: MeshConfig;
  /** What was compiled for the caller, or for the gateway. */
  readonly set: ResourceSet;
  readonly caller: Caller;
  /** Set = the request comes in at this port of the gateway. */
  readonly gatewayPort?: number | undefined;
}
