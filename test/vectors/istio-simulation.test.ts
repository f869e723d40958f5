import { expect } from 'vitest';
import { type CompiledJson, type CompileTarget, compileFor } from '../../src/control-plane.js';
import { formatViolations } from '../../src/control-plane/schema/format.js';
import { vectorJson, vectorSuite } from './score.js';
import { type SimulatedCall, type SimulatedResult, simulateCall } from './simulate-call.js';

// Istio's own simulations of calls and of route tables, answered by what `inmesh compile` prints.

/** What `inmesh compile -f` prints for a client. */
function compiled(text: string, target: CompileTarget): CompiledJson {
  const result = compileFor({ files: [{ file: 'vector.yaml', content: text }] }, target);
  if (!result.accepted) throw new Error(formatViolations(result.violations));
  return result.resources;
}

/** Istio's simulation of gateways has no domain. */
const short = (name: string | undefined) => name?.replace('.svc.cluster.local', '');

interface CallCase {
  readonly group: string;
  readonly name: string;
  readonly proxy: {
    readonly type: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly ip?: string;
  };
  readonly istioConfig: string;
  readonly kubernetesConfig: string;
  readonly calls: readonly {
    readonly name: string;
    readonly call: SimulatedCall;
    readonly result: SimulatedResult & { readonly strictMatch?: boolean };
  }[];
}

const CALLS = 'istio/xds-simulation/calls.json';

for (const profile of ['envoy', 'sdk'] as const) {
  vectorSuite({
    file: CALLS,
    part: profile === 'envoy' ? 'by an Envoy' : 'by a member of the mesh',
    // Gateways are Envoys here.
    cases: ((vectorJson(CALLS) ?? []) as readonly CallCase[]).filter(
      ({ proxy }) => profile === 'envoy' || proxy.type === 'sidecar',
    ),
    title: ({ group, name }) => `${group}, ${name}`,
    skip({ name }) {
      return name === 'duplicate tls gateway' ? 'expects a listener that Envoy refuses' : undefined;
    },
    run({ proxy: { type, namespace, labels, ip }, istioConfig, kubernetesConfig, calls }) {
      const text = `${istioConfig}\n---\n${kubernetesConfig}`;
      const isSidecar = type === 'sidecar' && profile === 'envoy';
      const resources = compiled(text, { profile, namespace, labels, ...(isSidecar && { type, address: ip }) });
      for (const { name, call, result } of calls) {
        const { strictMatch: _exact, ...wanted } = result;
        const found = simulateCall(resources, call);
        expect(
          { ...found, ...(found.clusterMatched !== undefined && { clusterMatched: short(found.clusterMatched) }) },
          name,
        ).toMatchObject({ ...wanted, ...(wanted.clusterMatched && { clusterMatched: short(wanted.clusterMatched) }) });
      }
    },
  });
}

interface RouteCase {
  readonly name: string;
  readonly variant: string;
  readonly proxyNamespace: string;
  readonly routeName: string;
  readonly config: readonly object[];
  readonly expectedVirtualHosts: Readonly<Record<string, readonly string[] | null>> | null;
}

const ROUTES = 'istio/xds-simulation/sidecar-routes.json';
const routes = (vectorJson(ROUTES) ?? { services: [], cases: [] }) as {
  readonly services: readonly object[];
  readonly cases: readonly RouteCase[];
};

interface RouteTable {
  readonly name: string;
  readonly virtual_hosts?: readonly {
    readonly name: string;
    readonly domains: readonly string[];
    readonly routes?: readonly {
      readonly route?: {
        readonly cluster?: string;
        readonly weighted_clusters?: { readonly clusters: readonly { readonly name: string }[] };
      };
    }[];
  }[];
}

for (const profile of ['sdk', 'envoy'] as const) {
  vectorSuite({
    file: ROUTES,
    part: `as an ${profile} receives them`,
    cases: routes.cases,
    title: ({ name, variant }) => `${name} (${variant})`,
    run({ config, proxyNamespace, routeName, expectedVirtualHosts }) {
      const text = [...routes.services, ...config].map((one) => JSON.stringify(one)).join('\n---\n');
      const { routes: found } = compiled(text, { profile, namespace: proxyNamespace, portListeners: true });
      // The SDK has a table for each host of a port, an Envoy one for the port, as Istio.
      const tables = (found as unknown as readonly RouteTable[]).filter(({ name }) =>
        profile === 'envoy' ? name === routeName : name.startsWith(`outbound|${routeName}||`),
      );
      const hosts = tables.flatMap((table) => table.virtual_hosts ?? []);
      if (expectedVirtualHosts === null) {
        const ours = JSON.stringify(config).match(/"hosts":\["([^"*/]+)"\]/)?.[1] ?? '';
        expect(hosts.filter(({ domains }) => domains.includes(ours))).toEqual([]);
        return;
      }
      const clusters = Object.keys(expectedVirtualHosts).map((host) => {
        const one = hosts.find(({ domains }) => domains.includes(host));
        const all = one?.routes?.flatMap(({ route }) => [
          route?.cluster ?? route?.weighted_clusters?.clusters.map(({ name }) => name).join() ?? 'none',
        ]);
        return [host, all ?? null];
      });
      expect(Object.fromEntries(clusters)).toEqual(expectedVirtualHosts);
    },
  });
}
