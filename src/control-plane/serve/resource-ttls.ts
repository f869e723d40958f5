import { MeshError } from '../../runtime/errors.js';
import type { ServedType } from './resources.js';

/** How long resources count for a client that hears nothing, in milliseconds, by type; the others count until they are removed. */
export interface ResourceTtlOptions {
  readonly listeners?: number;
  readonly routes?: number;
  readonly clusters?: number;
  readonly endpoints?: number;
  readonly secrets?: number;
  /** How often clients hear that what they have is still there. Default a third of the shortest time. */
  readonly heartbeatMs?: number;
}

/** Times to live (xDS `Resource.ttl`), and the heartbeats that renew them. */
export interface ResourceTtls {
  readonly heartbeatMs: number;
  of(type: ServedType): number | undefined;
}

/** Undefined when nothing ends. Throws when heartbeats would come too late. */
export function resourceTtls(options: ResourceTtlOptions): ResourceTtls | undefined {
  const { listeners, routes, clusters, endpoints, secrets } = options;
  const byType: Readonly<Partial<Record<string, number>>> = {
    LDS: listeners,
    RDS: routes,
    CDS: clusters,
    EDS: endpoints,
    SDS: secrets,
  };
  const given = Object.values(byType).flatMap((ttl) => ttl ?? []);
  if (given.length === 0) return undefined;
  const shortest = Math.min(...given);
  const { heartbeatMs = shortest / 3 } = options;
  if (!(shortest >= 1) || !(heartbeatMs >= 1) || heartbeatMs >= shortest) {
    throw new MeshError(
      'INMESH_OPTION_INVALID',
      'resourceTtl: heartbeats must come more often than resources end, and both take at least 1 ms',
    );
  }
  return { heartbeatMs, of: ({ short }) => byType[short] };
}
