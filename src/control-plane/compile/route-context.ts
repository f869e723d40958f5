import type { HashPolicy } from '../../model/hash-policy.js';
import type { RetryPolicy } from '../../model/retry.js';
import type { RouteAction } from '../../model/route.js';
import type { MeshService } from '../mesh/services.js';
import type { Profile } from './profile.js';

/** What the routes of one listener are compiled for. */
export interface RouteContext {
  readonly profile: Pick<Profile, 'namespace' | 'labels' | 'generator'>;
  /** Host and port that the client calls. */
  readonly host: string;
  readonly port: number;
  /** The gateway that calls come by, `namespace/name`; undefined = they come from clients in the mesh. */
  readonly gateway?: string | undefined;
  /** Whether they come in TLS to the gateway. Default false. */
  readonly isTls?: boolean;
  /** How routes retry that do not say. */
  readonly defaultRetry: RetryPolicy;
  /** Further full names of the host (services of the type ExternalName). */
  readonly aliases?: readonly string[];
  readonly serviceOf: (host: string) => MeshService | undefined;
  /** What routes to a cluster hash; undefined where its policy does not go by hash. */
  readonly hashOf: (target: Target) => HashPolicy | undefined;
}

/** Which cluster a route leads to. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** Empty = the whole service. */
  readonly subset: string;
}

/** What all forwarding routes have. */
export function forward(
  { profile }: RouteContext,
  timeoutMs: number,
): Pick<RouteAction, 'kind' | 'timeoutMs' | 'maxStreamDurationMs' | 'priority'> {
  const maxStreamDurationMs = profile.generator === 'grpc' ? timeoutMs : undefined;
  return { kind: 'forward', timeoutMs, maxStreamDurationMs, priority: 'default' };
}

/** Istio: what the policies of all destinations hash, one after the other. */
export function hashPoliciesOf(
  targets: readonly Target[],
  { hashOf }: RouteContext,
): RouteAction['hashPolicies'] {
  const policies = targets.flatMap((target) => hashOf(target) ?? []);
  return policies.length === 0 ? undefined : policies;
}
