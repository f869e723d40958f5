import { type Clusters, createClusters } from '../../../src/cluster/clusters.js';
import type { HostBreakers } from '../../../src/filters/failure-rate-breaker.js';
import { Applier } from '../../../src/mesh/apply.js';
import { callOut } from '../../../src/mesh/call-out.js';
import type { Snapshot } from '../../../src/model/snapshot.js';
import type { HostTable } from '../../../src/routing/host-table.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { readBody } from '../../../src/service/body.js';
import type { Observer } from '../../../src/service/observer.js';
import type { Filter, Request, Response } from '../../../src/service/service.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';
import { createMemoryNetwork, type MemoryNetwork } from '../../../src/testing/memory-transport.js';
import { makeRequest } from '../filters/support.js';

/** The data path from host table to transport, in virtual time over a network in memory. */
export interface DataPath {
  readonly clock: FakeClock;
  readonly network: MemoryNetwork;
  readonly clusters: Clusters;
  readonly applier: Applier;
  readonly table: HostTable;
  apply(snapshot: Snapshot): HostTable;
  send(origin: string, change?: Parameters<typeof makeRequest>[0]): Promise<Response>;
}

export interface DataPathOptions {
  readonly observer?: Observer;
  readonly filters?: readonly Filter[];
  readonly failureRateBreaker?: (clusterName: string) => Filter | undefined;
  readonly hostBreakers?: (clusterName: string) => HostBreakers | undefined;
  readonly isTrusted?: ((resource: string) => boolean) | undefined;
}

export function createDataPath(snapshot: Snapshot, options: DataPathOptions = {}): DataPath {
  const { observer = {}, filters = [], failureRateBreaker = () => undefined, hostBreakers } = options;
  const [clock, random, network] = [createFakeClock(), seededRandom(1), createMemoryNetwork()];
  const clusters = createClusters({
    clock,
    random,
    observer,
    logger: silentLogger,
    transport: network.transport,
  });
  const applier = new Applier(clusters, {
    clock,
    random,
    observer,
    filters,
    failureRateBreaker,
    hostBreakers,
    isTrusted: options.isTrusted,
    node: { id: 'node', cluster: 'test' },
    upstream: callOut((name) => clusters.get(name), { clock, observer }),
  });
  let table = applier.apply(snapshot);
  return {
    clock,
    network,
    clusters,
    applier,
    get table() {
      return table;
    },
    apply(next) {
      table = applier.apply(next);
      return table;
    },
    send(origin, change) {
      const target = table.lookup(origin);
      if (target === undefined) throw new Error(`the mesh does not own ${origin}`);
      const request: Request = makeRequest({ authority: target.authority, ...change });
      return target.service(request);
    },
  };
}

/** Status, reason and body of an answer. */
export async function summaryOf(
  pending: Promise<Response>,
): Promise<readonly [number, string | undefined, string]> {
  const { status, local, body } = await pending;
  return [status, local?.reason, (await readBody(body)).toString()];
}
