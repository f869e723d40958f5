import { existsSync, readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { createCompiler } from '../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../src/control-plane/mesh/mesh-config.js';
import type { ResourceSet } from '../../src/control-plane/resources/resource-set.js';
import { createConfigStore } from '../../src/control-plane/store/config-store.js';
import { httpConnectionManager as hcm, listener, tcpProxy } from '../../src/proto/xds.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { nodeOf, registryOf } from '../unit/control-plane/compile/mesh.js';

// Calls to gateways, as Istio's own simulation answers them.

const file = new URL('../../../shared/vectors/istio/xds-simulation/calls.json', import.meta.url);

interface Call {
  readonly port: number;
  readonly hostHeader?: string;
  readonly tls?: string;
}

interface Expected {
  readonly error?: string;
  readonly listenerMatched?: string;
  readonly routeConfigMatched?: string;
  readonly virtualHostMatched?: string;
  readonly clusterMatched?: string;
}

interface Case {
  readonly name: string;
  readonly proxy: { readonly type: string; readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  readonly istioConfig: string;
  readonly calls: readonly { readonly name: string; readonly call: Call; readonly result: Expected }[];
}

const cases: readonly Case[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];

/** Rests on certificates by the names of Kubernetes, and expects a listener that Envoy refuses. */
const OUT_OF_SCOPE: ReadonlySet<string> = new Set(['duplicate tls gateway']);

function compileCase({ istioConfig, proxy }: Case): ResourceSet {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger }, { allowUnsupported: true });
  store.propose('vector', { files: [{ file: 'vector.yaml', content: istioConfig }] });
  const node = {
    ...nodeOf({ GENERATOR: '', NAMESPACE: proxy.namespace, LABELS: proxy.labels, INSTANCE_IPS: '1.1.1.1' }),
    id: `router~1.1.1.1~gateway.${proxy.namespace}~${proxy.namespace}.svc.cluster.local`,
  };
  return createCompiler(DEFAULT_MESH_CONFIG).compile(store.current.value, registryOf([]), node);
}

function answer(set: ResourceSet, { port, hostHeader = '' }: Call): Expected {
  const found = [...set.wireListeners.values()]
    .map(({ bytes }) => fromBinary(listener.ListenerSchema, bytes))
    .find(({ name }) => name.endsWith(`_${port}`));
  if (found === undefined) return { error: 'no listener matched' };
  const config = found.filterChains[0]?.filters[0]?.configType;
  if (config?.case !== 'typedConfig') throw new Error('no filter');
  const listenerMatched = found.name;
  if (config.value.typeUrl.endsWith('TcpProxy')) {
    const { clusterSpecifier } = fromBinary(tcpProxy.TcpProxySchema, config.value.value);
    return { listenerMatched, clusterMatched: short(String(clusterSpecifier.value)) };
  }
  const { routeSpecifier } = fromBinary(hcm.HttpConnectionManagerSchema, config.value.value);
  const table = set.routes.get(routeSpecifier.case === 'rds' ? routeSpecifier.value.routeConfigName : '');
  const host = table?.virtualHosts.find(({ domains }) => domains.includes(hostHeader) || domains.includes('*'));
  const matched = { listenerMatched, routeConfigMatched: table?.name, virtualHostMatched: host?.name };
  if (host?.requireTls === 'all') return { error: 'tls required, sending 301', ...matched } as Expected;
  const action = host?.routes[0]?.action;
  if (action?.kind !== 'forward' || action.cluster.kind !== 'cluster')
    return { error: 'no route matched', ...matched } as Expected;
  return { ...matched, clusterMatched: short(action.cluster.name) } as Expected;
}

/** Istio's simulation has no domain. */
const short = (cluster: string) => cluster.replace('.svc.cluster.local', '');

test('gateways answer as in Istio', () => {
  const wrong = cases
    .filter(({ name, proxy }) => proxy.type === 'router' && !OUT_OF_SCOPE.has(name))
    .flatMap((one) => {
      const set = compileCase(one);
      return one.calls.flatMap(({ name, call, result }) => {
        const found = answer(set, call);
        const wanted = Object.entries(result).filter(([key]) => key !== 'strictMatch');
        return wanted
          .filter(([key, value]) => found[key as keyof Expected] !== value)
          .map(([key, value]) => `${one.name}, ${name}: ${key} is ${found[key as keyof Expected]}, not ${value}`);
      });
    });
  expect(wrong).toEqual([]);
});
