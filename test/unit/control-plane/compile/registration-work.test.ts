import { expect, test } from 'vitest';
import { OutlineMemory } from '../../../../src/control-plane/compile/outline-memory.js';
import { mtlsModes } from '../../../../src/control-plane/compile/peer-authentication.js';
import { PodIndex } from '../../../../src/control-plane/compile/pods.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { listServices } from '../../../../src/control-plane/mesh/services.js';
import type { RegistrySnapshot } from '../../../../src/control-plane/registry/snapshot.js';
import type { WorkloadInput } from '../../../../src/control-plane/registry/workload.js';
import { runSteps } from '../../../../src/runtime/steps.js';
import { registryOf, service, viewOf } from './mesh.js';

// What a registration costs follows from what registers, not from how many services there are.

const HUNDRED = Array.from({ length: 100 }, (_, at) => `s${at}`);
const view = viewOf(HUNDRED.map((name) => service(name)).join(''));

const workload = (name: string, more: Partial<WorkloadInput> = {}): WorkloadInput => ({
  service: name,
  address: '10.0.0.1',
  port: 8080,
  ...more,
});

/** A registry in which these are added, or in the place of what had their names. */
function after({ revision, services }: RegistrySnapshot, ...workloads: WorkloadInput[]): RegistrySnapshot {
  return { revision: revision + 1, services: services.with(registryOf(workloads).services) };
}

/** Tells which services are looked at for their clusters. */
function watch() {
  const memory = new OutlineMemory();
  const pods = new PodIndex();
  const modes = mtlsModes(view, DEFAULT_MESH_CONFIG);
  const policies = new Map();
  const services = new Map(listServices(view, registryOf([])).map((one) => [one.host, one]));
  const world = { view, config: DEFAULT_MESH_CONFIG, pods, modes, services, policies };
  return {
    steps: (registry: RegistrySnapshot, looked: string[]) => {
      const now = { ...world, registry };
      return memory.clusters(now, (one, pieces) => {
        looked.push(one.host.split('.')[0] ?? '');
        return pieces.take(one.host, [one.source], now, () => []);
      });
    },
    lookedAt(registry: RegistrySnapshot): readonly string[] {
      const looked: string[] = [];
      runSteps(this.steps(registry, looked));
      return looked;
    },
  };
}

test('clusters are looked at of the services that something registered for, and of no others', () => {
  const watched = watch();
  const none = registryOf([]);
  expect(watched.lookedAt(none)).toEqual(HUNDRED);
  const one = after(none, workload('s7'));
  expect(watched.lookedAt(one)).toEqual(['s7']);
  expect(watched.lookedAt(one)).toEqual([]);
  // By its name, and by the labels that a selector asks for.
  expect(watched.lookedAt(after(one, workload('s8', { labels: { app: 's9' } })))).toEqual(['s8', 's9']);
  expect(watched.lookedAt(none)).toEqual(['s7', 's8', 's9']);
});

test('all are looked at again after a run that was left in a pause', () => {
  const watched = watch();
  const none = registryOf([]);
  watched.lookedAt(none);
  const left: string[] = [];
  expect(watched.steps(after(none, workload('s7')), left).next().done).toBe(false);
  expect(left).toEqual(['s7']);
  expect(watched.lookedAt(none)).toEqual(HUNDRED);
});

test('the list of services stays while workloads come and go, and changes with the services that they alone tell of', () => {
  const none = registryOf([]);
  const list = listServices(view, none);
  const served = after(none, workload('s7'), workload('s8'));
  expect(listServices(view, served)).toBe(list);
  const more = after(served, workload('undocumented'));
  const hosts = listServices(view, more).map(({ host }) => host);
  expect(hosts).toEqual([...list.map(({ host }) => host), 'undocumented.default.svc.cluster.local']);
  const elsewhere = after(more, workload('undocumented', { address: '10.0.0.2' }));
  expect(listServices(view, elsewhere)).toBe(listServices(view, more));
  expect(listServices(view, after(more, workload('undocumented', { protocol: 'tcp' })))).not.toBe(
    listServices(view, more),
  );
});
