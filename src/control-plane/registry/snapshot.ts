import { ShardedMap } from '../../runtime/sharded-map.js';
import type { Workload } from './workload.js';

/** The workloads that registered under one name. The object stays while nothing of them changes. */
export interface RegisteredService {
  readonly namespace: string;
  readonly service: string;
  /** At least one; ordered by owner, then as the owner listed them. */
  readonly workloads: readonly Workload[];
}

/** Everything registered at one moment. */
export interface RegistrySnapshot {
  /** Grows with each change. */
  readonly revision: number;
  /** By `registeredKey`. */
  readonly services: ShardedMap<RegisteredService>;
}

/** Under which name a workload is found. */
export function registeredKey({
  namespace,
  service,
}: Pick<RegisteredService, 'namespace' | 'service'>): string {
  return `${namespace}/${service}`;
}

/** A snapshot of workloads that are given in order of their owners. */
export function snapshotOf(workloads: Iterable<Workload>, revision = 0): RegistrySnapshot {
  const services = new Map<string, { namespace: string; service: string; workloads: Workload[] }>();
  for (const workload of workloads) {
    const { namespace, service } = workload;
    const key = registeredKey(workload);
    const known = services.get(key);
    if (known === undefined) services.set(key, { namespace, service, workloads: [workload] });
    else known.workloads.push(workload);
  }
  return { revision, services: ShardedMap.from(services) };
}

/** All workloads, service by service. */
export function* workloadsIn({ services }: RegistrySnapshot): Generator<Workload> {
  for (const { workloads } of services.values()) yield* workloads;
}

/** How many workloads there are. */
export function countWorkloads({ services }: RegistrySnapshot): number {
  let count = 0;
  for (const { workloads } of services.values()) count += workloads.length;
  return count;
}
