import type { Locality } from '../model/endpoint.js';
import type { HostSet } from './host-set.js';

/** Where this process is, and who else of its kind is where: what zone-aware routing compares an upstream with. */
export class LocalZone {
  /** Name of the cluster that this process belongs to (Envoy `cluster_manager.local_cluster_name`). */
  readonly clusterName: string;
  readonly own: Locality;
  #set: HostSet | undefined;
  #version = 0;

  constructor(clusterName: string, own: Locality) {
    this.clusterName = clusterName;
    this.own = own;
  }

  /** The hosts of the local cluster; undefined while they are not known. */
  get set(): HostSet | undefined {
    return this.#set;
  }

  /** Changes with every change of the hosts. */
  get version(): number {
    return this.#version;
  }

  publish(set: HostSet | undefined): void {
    this.#set = set;
    this.#version++;
  }
}

/** The zone of this process; undefined where its cluster is not known. */
export function localZone(place: {
  readonly localCluster: string | undefined;
  readonly locality: Locality;
}): LocalZone | undefined {
  return place.localCluster === undefined ? undefined : new LocalZone(place.localCluster, place.locality);
}
