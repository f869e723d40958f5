import type {
  FailureRateBreakerOptions,
  FailureRateBreakers,
  HostBreakers,
} from '../filters/failure-rate-breaker.js';
import type { Metadata } from '../model/metadata.js';
import type { Filter } from '../service/service.js';
import { breakerInMetadata } from './breaker-metadata.js';
import type { ResolvedMeshOptions } from './options.js';

/** Which failure-rate breaker a cluster has: by the options of the mesh, or else by its metadata. */
export class ClusterBreakers {
  readonly #breakers: FailureRateBreakers;
  readonly #table: ResolvedMeshOptions['failureRateBreakers'];
  readonly #metadataOf: (clusterName: string) => Metadata | undefined;

  constructor(
    breakers: FailureRateBreakers,
    table: ResolvedMeshOptions['failureRateBreakers'],
    metadataOf: (clusterName: string) => Metadata | undefined,
  ) {
    [this.#breakers, this.#table, this.#metadataOf] = [breakers, table, metadataOf];
  }

  /** The breaker of the cluster as a whole. */
  readonly filter = (clusterName: string): Filter | undefined => {
    const options = this.#optionsOf(clusterName);
    return options?.scope === 'host' ? undefined : options && this.#breakers.filter(clusterName, options);
  };

  /** The breakers of its hosts. */
  readonly hosts = (clusterName: string): HostBreakers | undefined => {
    const options = this.#optionsOf(clusterName);
    return options?.scope === 'host' ? this.#breakers.hosts(clusterName, options) : undefined;
  };

  close(): void {
    this.#breakers.close();
  }

  #optionsOf(clusterName: string): FailureRateBreakerOptions | undefined {
    const table = this.#table;
    // Istio's cluster names end in the host: `outbound|port|subset|host`.
    const host = clusterName.split('|')[3] ?? clusterName;
    const key = [clusterName, host, host.split('.')[0] ?? host, '*'].find((name) =>
      Object.hasOwn(table, name),
    );
    // What code says goes before what the control plane says.
    return key === undefined ? breakerInMetadata(this.#metadataOf(clusterName)) : table[key];
  }
}
