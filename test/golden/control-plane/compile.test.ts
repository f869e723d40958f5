import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import type { ResourceSet } from '../../../src/control-plane/resources/resource-set.js';
import type { NodeWorkload } from '../../../src/model/node.js';
import { ShardedMap } from '../../../src/runtime/sharded-map.js';
import { compile, nodeOf } from '../../unit/control-plane/compile/mesh.js';

// Documents in, resources out. UPDATE_GOLDEN=1 writes what is compiled now; read the difference before you commit it.
const folder = new URL('documents/', import.meta.url);
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => name.slice(0, -'.yaml'.length));

const served: NodeWorkload = {
  service: 'storefront',
  address: '127.0.0.1',
  port: 41_000,
  portName: '',
  tlsMode: 'istio',
};
const registered = [
  {
    service: 'storefront',
    version: 'v1',
    address: '127.0.0.1',
    port: 41_000,
    tlsMode: 'istio',
    serviceAccount: 'storefront',
  },
  {
    service: 'catalog',
    version: 'v1',
    address: '127.0.0.1',
    port: 41_001,
    tlsMode: 'istio',
    portName: 'http',
  },
  {
    service: 'catalog',
    version: 'v2',
    address: '127.0.0.1',
    port: 41_002,
    tlsMode: 'istio',
    portName: 'http',
  },
  { service: 'stock', namespace: 'backend', address: '127.0.0.1', port: 41_003, tlsMode: 'disabled' },
  { service: 'mail', address: '127.0.0.1', port: 41_004, tlsMode: 'istio' },
] as const;

const INBOUND = `xds.istio.io/grpc/lds/inbound/${served.address}:${served.port}`;

function compiled(name: string): ResourceSet {
  const text = readFileSync(new URL(`${name}.yaml`, folder), 'utf8');
  return compile(text, registered, nodeOf({ LABELS: { app: 'storefront' }, INMESH_WORKLOADS: [served] }));
}

/** Maps as objects; what is undefined as null, so that it shows. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, one) =>
      one instanceof Map || one instanceof ShardedMap
        ? Object.fromEntries(one)
        : one === undefined
          ? null
          : one,
    ),
  );
}

describe.each(names)('%s', (name) => {
  test('compiles to what it compiled to before', () => {
    const file = new URL(`${name}.json`, folder);
    const { listeners: shared, routes, clusters, endpoints, listenerOf } = compiled(name);
    const inbound = listenerOf(INBOUND);
    const listeners = new Map(inbound === undefined ? shared : [...shared, [INBOUND, inbound]]);
    const resources = plain({ listeners, routes, clusters, endpoints: new Map(endpoints) });
    if (process.env['UPDATE_GOLDEN'] === '1' || !existsSync(file)) {
      writeFileSync(file, `${JSON.stringify(resources, undefined, 2)}\n`);
    }
    expect(resources).toEqual(JSON.parse(readFileSync(file, 'utf8')));
  });

  test('compiles to resources that a client takes, and reads back as they were', () => {
    const { listeners, routes, clusters, endpoints } = compiled(name);
    for (const one of listeners.values()) expect(LISTENER.decode(LISTENER.encode(one)).resource).toEqual(one);
    for (const one of routes.values()) {
      expect(ROUTE_CONFIGURATION.decode(ROUTE_CONFIGURATION.encode(one)).resource).toEqual(one);
    }
    for (const one of clusters.values()) expect(CLUSTER.decode(CLUSTER.encode(one)).resource).toEqual(one);
    for (const one of endpoints.values()) {
      expect(CLUSTER_LOAD_ASSIGNMENT.decode(CLUSTER_LOAD_ASSIGNMENT.encode(one)).resource).toEqual(one);
    }
  });

  test('refers only to clusters and routes that are there', () => {
    const { listeners, routes, clusters, endpoints } = compiled(name);
    for (const { kind, http } of [...listeners.values()].filter((one) => one.kind === 'outbound')) {
      expect([kind, http.routes.kind === 'rds' && routes.has(http.routes.name)]).toEqual(['outbound', true]);
    }
    for (const { discovery } of clusters.values()) {
      if (discovery.kind === 'eds') expect(endpoints.has(discovery.serviceName)).toBe(true);
    }
  });
});
