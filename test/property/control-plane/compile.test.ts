import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCompiler } from '../../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../../src/control-plane/mesh/mesh-config.js';
import { createRegistry, type WorkloadRegistry } from '../../../src/control-plane/registry/registry.js';
import { snapshotOf, workloadsIn } from '../../../src/control-plane/registry/snapshot.js';
import { createWorkload } from '../../../src/control-plane/registry/workload.js';
import type { ResourceSet } from '../../../src/control-plane/resources/resource-set.js';
import { createConfigStore } from '../../../src/control-plane/store/config-store.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { networking, nodeOf, service } from '../../unit/control-plane/compile/mesh.js';

const DOCUMENTS = `${service('a')}${service('b')}
---
apiVersion: v1
kind: Service
metadata: { name: tier }
spec: { selector: { tier: back }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: all }
spec: { selector: {}, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: c }
spec: { ports: [{ name: http, port: 80 }] }
${networking('ServiceEntry', 'chosen', '{ hosts: [chosen.test], location: MESH_INTERNAL, resolution: STATIC, workloadSelector: { labels: { tier: back } }, ports: [{ number: 80, name: http, protocol: HTTP }] }')}
${networking('WorkloadEntry', 'vm', '{ address: 10.9.9.9, labels: { tier: back, app: a } }')}
${networking('DestinationRule', 'a', '{ host: a, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }')}
`;
/** What is in force besides, one at a time or several. */
const FURTHER = [
  networking(
    'VirtualService',
    'a',
    '{ hosts: [a], http: [{ match: [{ uri: { prefix: /x } }], route: [{ destination: { host: b } }] }, { route: [{ destination: { host: a, subset: v1 }, weight: 9 }, { destination: { host: tier }, weight: 1 }] }] }',
  ),
  networking(
    'VirtualService',
    'wild',
    '{ hosts: ["*.default.svc.cluster.local"], http: [{ timeout: 3s, route: [{ destination: { host: a } }] }] }',
  ),
  networking(
    'VirtualService',
    'unserved',
    '{ hosts: [shop.test], http: [{ route: [{ destination: { host: c } }] }] }',
  ),
  networking(
    'DestinationRule',
    'b',
    '{ host: b, trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: x-user } } } }',
  ),
  networking(
    'DestinationRule',
    'every',
    '{ host: "*.svc.cluster.local", trafficPolicy: { connectionPool: { http: { http2MaxRequests: 7 } } } }',
  ),
  networking(
    'ServiceEntry',
    'shop',
    '{ hosts: [shop.test], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }, { number: 443, name: tls, protocol: TLS }] }',
  ),
  service('e'),
  `---
apiVersion: v1
kind: Service
metadata: { name: alias }
spec: { type: ExternalName, externalName: a.default.svc.cluster.local }
`,
  networking('Sidecar', 'default', '{ egress: [{ hosts: ["./*"] }] }'),
  `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default }
spec: { mtls: { mode: DISABLE } }
`,
];

const input = fc.record({
  service: fc.constantFrom('a', 'b', 'c', 'd'),
  namespace: fc.constantFrom('default', 'other'),
  version: fc.constantFrom('', 'v1', 'v2'),
  labels: fc.constantFrom({}, { tier: 'back' }, { app: 'a' }, { app: 'a', tier: 'back' }),
  address: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3'),
  port: fc.constantFrom(80, 8080),
  portName: fc.constantFrom('', 'http', 'grpc'),
  serviceAccount: fc.constantFrom('', 'one'),
  tlsMode: fc.constantFrom('istio' as const, 'disabled' as const),
});
const step = fc.record({
  owner: fc.constantFrom('n1', 'n2', 'n3', 'n4'),
  workloads: fc.option(fc.array(input, { maxLength: 3 }), { nil: undefined }),
  /** Undefined = they stay. */
  documents: fc.option(fc.subarray(FURTHER), { nil: undefined }),
  /** Whether rules say something else, for the same hosts. */
  edited: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const CLIENTS = (['inmesh', 'grpc'] as const).flatMap((generator) =>
  ['default', 'other'].map((namespace) => nodeOf({ GENERATOR: generator, NAMESPACE: namespace })),
);

function edit(text: string): string {
  return text.replace('/x', '/y').replace('host: c }', 'host: a }').replace('host: tier', 'host: b');
}

/** Everything that clients receive, whatever the order. */
function contentOf({ listeners, routes, clusters, endpoints }: ResourceSet) {
  const sorted = (resources: ReadonlyMap<string, object>) =>
    [...resources].sort(([a], [b]) => (a < b ? -1 : 1));
  return [listeners, routes, clusters, endpoints].map(sorted);
}

function take(registry: WorkloadRegistry, { owner, workloads }: Step): void {
  if (workloads === undefined) registry.remove(owner);
  else registry.lease(owner).update(workloads.map((one) => createWorkload(owner, one)));
}

test('what follows changes of registry and documents equals what is compiled anew', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
      const registry = createRegistry({ graceMs: 1000 }, createFakeClock());
      const following = createCompiler(DEFAULT_MESH_CONFIG);
      const store = createConfigStore({ clock: createFakeClock(), logger: silentLogger });
      for (const one of steps) {
        take(registry, one);
        if (one.documents !== undefined || one === steps[0]) {
          const files = [
            DOCUMENTS,
            ...(one.documents ?? []).map((text) => (one.edited ? edit(text) : text)),
          ].map((content, at) => ({
            file: `${at}.yaml`,
            content,
          }));
          expect(store.propose('test', { files })).toMatchObject({ accepted: true });
        }
        const view = store.current.value;
        const now = registry.current.value;
        // In order of owners, whatever happened before.
        const owned = [...workloadsIn(now)].sort((a, b) =>
          a.owner < b.owner ? -1 : a.owner > b.owner ? 1 : 0,
        );
        const anew = createCompiler(DEFAULT_MESH_CONFIG);
        for (const client of CLIENTS) {
          const same = isDeepStrictEqual(
            contentOf(following.compile(view, now, client)),
            contentOf(anew.compile(view, snapshotOf(owned), client)),
          );
          expect(same).toBe(true);
        }
      }
    }),
    { numRuns: 25 },
  );
}, 60_000);
