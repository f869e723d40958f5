import type { RotatingSource } from '../identity/rotation.js';
import { createSdsSource, type SdsSourceOptions } from '../identity/sds-source.js';
import type { IdentitySource } from '../identity/source.js';
import { createWorkloadApiSource, type WorkloadApiSourceOptions } from '../identity/workload-api/source.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';

/** The SPIFFE Workload API as the source of this process's identity. */
export interface WorkloadApiIdentity extends Pick<WorkloadApiSourceOptions, 'hint' | 'pick'> {
  readonly kind: 'workloadApi';
  /** `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8081`. `SPIFFE_ENDPOINT_SOCKET`. */
  readonly endpoint?: string | undefined;
}

/** An agent that speaks Envoy's secret discovery (SDS), as Istio's and SPIRE's do. */
export interface SdsIdentity
  extends Pick<SdsSourceOptions, 'target' | 'certificateName' | 'rootsName' | 'nodeId' | 'credentials'> {
  readonly kind: 'sds';
}

/** A source of the application's own; it is not closed with the mesh. */
export interface GivenIdentity {
  readonly kind: 'source';
  readonly source: IdentitySource;
}

/** Where the certificate of this process comes from, when it is not the mesh's authority. */
export type IdentityOption = WorkloadApiIdentity | SdsIdentity | GivenIdentity;

/** An option with every default filled in. */
export type ResolvedIdentity =
  | (WorkloadApiIdentity & { readonly endpoint: string })
  | SdsIdentity
  | GivenIdentity;

/** Fills in what the environment says; undefined = the certificate authority, or files that the bootstrap names. */
export function resolveIdentity(
  given: IdentityOption | undefined,
  env: Readonly<Record<string, string | undefined>>,
  /** Whether an authority is named: whoever does that wants its certificate. */
  namesAuthority: boolean,
): ResolvedIdentity | undefined {
  const fallback = env['SPIFFE_ENDPOINT_SOCKET'] || undefined;
  if (given === undefined)
    return namesAuthority || fallback === undefined ? undefined : { kind: 'workloadApi', endpoint: fallback };
  if (given.kind !== 'workloadApi') return given;
  const endpoint = given.endpoint ?? fallback;
  if (endpoint !== undefined) return { ...given, endpoint };
  throw new MeshError('INMESH_OPTION_INVALID', 'identity has no endpoint of the Workload API', {
    hint: 'Give `identity.endpoint`, or set SPIFFE_ENDPOINT_SOCKET',
  });
}

/** What sources work with. */
export interface IdentityTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The source that an option asks for. */
export function createChosenIdentity(option: ResolvedIdentity, tools: IdentityTools): RotatingSource {
  if (option.kind === 'source') return lent(option.source);
  if (option.kind === 'sds') return createSdsSource({ ...option, ...tools });
  const { endpoint, hint, pick } = option;
  return createWorkloadApiSource({ endpoint, hint, pick, ...tools });
}

/** A source that somebody else renews and closes. */
function lent(source: IdentitySource): RotatingSource {
  const ready = new Promise<void>((resolve) => {
    const look = () => {
      if (source.svid() === undefined) return;
      stop();
      resolve();
    };
    const stop = source.onUpdate(look);
    look();
  });
  return {
    svid: () => source.svid(),
    bundle: (trustDomain) => source.bundle(trustDomain),
    onUpdate: (listener) => source.onUpdate(listener),
    federated: () => source.federated?.() ?? [],
    ready,
    renewNow: async () => {},
    close: () => {},
  };
}
