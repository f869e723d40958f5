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
import type { Steps } from '../../../src/runtime/steps.js';
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
/** Documents of a kind as they are at first, and as they are after an edit. */
type Edited = readonly [before: string, after: string];

const both = (before: string): Edited => [before, before];
const document = (apiVersion: string, kind: string, name: string, rest: string, namespace = 'default') =>
  `---\napiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: ${name}, namespace: ${namespace} }\n${rest}\n`;
const two = (make: (variant: 0 | 1) => string): Edited => [make(0), make(1)];
const own = (kind: string, name: string, spec: string) =>
  document('inmesh.dev/v1', kind, name, `spec: ${spec}`);
const security = (kind: string, name: string, spec: string, namespace?: string) =>
  document('security.istio.io/v1', kind, name, `spec: ${spec}`, namespace);
const api = (kind: string, name: string, spec: string, version = 'v1') =>
  document(`gateway.networking.k8s.io/${version}`, kind, name, `spec: ${spec}`);
const patch = (applyTo: string, match: string, operation: string, value: string) =>
  `{ applyTo: ${applyTo}, match: ${match}, patch: { operation: ${operation}, value: ${value} } }`;

/** What is in force besides, one at a time or several: something of every kind that is compiled. */
const FURTHER: readonly Edited[] = [
  two((variant) =>
    networking(
      'VirtualService',
      'a',
      `{ hosts: [a], http: [{ match: [{ uri: { prefix: /${variant} } }], route: [{ destination: { host: b } }] }, { route: [{ destination: { host: a, subset: v1 }, weight: 9 }, { destination: { host: ${variant === 0 ? 'tier' : 'b'} }, weight: 1 }] }] }`,
    ),
  ),
  two((variant) =>
    networking(
      'VirtualService',
      'wild',
      `{ hosts: ["*.default.svc.cluster.local"], http: [{ timeout: ${3 + variant}s, route: [{ destination: { host: a } }] }] }`,
    ),
  ),
  two((variant) =>
    networking(
      'VirtualService',
      'unserved',
      `{ hosts: [shop.test], http: [{ route: [{ destination: { host: ${variant === 0 ? 'c' : 'a'} } }] }] }`,
    ),
  ),
  two(
    (variant) =>
      networking('VirtualService', 'root', '{ hosts: [b], http: [{ delegate: { name: part } }] }') +
      networking(
        'VirtualService',
        'part',
        `{ http: [{ match: [{ uri: { exact: /d${variant} } }], route: [{ destination: { host: b } }] }] }`,
      ),
  ),
  two((variant) =>
    networking(
      'VirtualService',
      'labels',
      `{ hosts: [c], http: [{ match: [{ sourceLabels: { app: s${variant} } }], route: [{ destination: { host: a } }] }, { route: [{ destination: { host: b } }] }] }`,
    ),
  ),
  two((variant) =>
    networking(
      'DestinationRule',
      'b',
      `{ host: b, trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: x-${variant} } } } }`,
    ),
  ),
  two((variant) =>
    networking(
      'DestinationRule',
      'every',
      `{ host: "*.svc.cluster.local", trafficPolicy: { connectionPool: { http: { http2MaxRequests: ${7 + variant} } }, tls: { mode: SIMPLE, credentialName: tls } } }`,
    ),
  ),
  two((variant) =>
    networking(
      'ServiceEntry',
      'shop',
      `{ hosts: [shop.test, s${variant}.test], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: ${80 + variant}, name: http, protocol: HTTP }, { number: 443, name: tls, protocol: TLS }] }`,
    ),
  ),
  both(service('e')),
  two((variant) =>
    document(
      'v1',
      'Service',
      'alias',
      `spec: { type: ExternalName, externalName: ${variant === 0 ? 'a' : 'b'}.default.svc.cluster.local }`,
    ),
  ),
  two((variant) =>
    networking(
      'Sidecar',
      'default',
      `{ egress: [{ hosts: ["${variant === 0 ? './*' : '*/a.default.svc.cluster.local'}"] }]${variant === 0 ? '' : ', outboundTrafficPolicy: { mode: REGISTRY_ONLY }'} }`,
    ),
  ),
  two((variant) =>
    security('PeerAuthentication', 'default', `{ mtls: { mode: ${variant === 0 ? 'DISABLE' : 'STRICT'} } }`),
  ),
  two((variant) =>
    security(
      'PeerAuthentication',
      'some',
      `{ selector: { matchLabels: { tier: back } }, mtls: { mode: STRICT }, portLevelMtls: { ${variant === 0 ? 80 : 8080}: { mode: DISABLE } } }`,
    ),
  ),
  two((variant) =>
    security('AuthorizationPolicy', 'some', `{ rules: [{ to: [{ operation: { paths: [/${variant}] } }] }] }`),
  ),
  two((variant) =>
    security(
      'RequestAuthentication',
      'some',
      `{ jwtRules: [{ issuer: i${variant}, jwks: '{"keys":[]}' }] }`,
      'istio-system',
    ),
  ),
  two((variant) =>
    document(
      'telemetry.istio.io/v1',
      'Telemetry',
      'some',
      `spec: { accessLogging: [{ filter: { expression: "response.code >= ${400 + variant}" } }] }`,
    ),
  ),
  two((variant) =>
    document(
      'networking.istio.io/v1alpha3',
      'EnvoyFilter',
      'some',
      `spec: { configPatches: [${[
        patch(
          'CLUSTER',
          '{ cluster: { service: a.default.svc.cluster.local } }',
          'MERGE',
          `{ connect_timeout: ${3 + variant}s }`,
        ),
        patch(
          'VIRTUAL_HOST',
          '{ context: SIDECAR_OUTBOUND }',
          'MERGE',
          `{ include_request_attempt_count: ${variant === 0} }`,
        ),
      ].join(', ')}] }`,
    ),
  ),
  two((variant) =>
    own(
      'MeshConfig',
      'mesh',
      variant === 0 ? '{ connectTimeout: 4s }' : '{ trustDomain: other.test, enableAutoMtls: false }',
    ),
  ),
  two((variant) =>
    own('RateLimitPolicy', 'some', `{ host: a, rules: [{ limit: { requests: ${5 + variant}, per: 1s } }] }`),
  ),
  two((variant) =>
    own('FailureRateBreaker', 'some', `{ host: a, errorThresholdPercentage: ${50 + variant} }`),
  ),
  two(
    (variant) =>
      networking(
        'Gateway',
        'edge',
        `{ selector: { istio: edge }, servers: [{ port: { number: ${80 + variant}, name: http, protocol: HTTP }, hosts: ["*"] }] }`,
      ) +
      networking(
        'VirtualService',
        'edge',
        '{ hosts: ["*.edge.test"], gateways: [edge], http: [{ route: [{ destination: { host: a } }] }] }',
      ),
  ),
  two((variant) =>
    api(
      'HTTPRoute',
      'http',
      `{ parentRefs: [{ group: "", kind: Service, name: a, port: 80 }], rules: [{ backendRefs: [{ name: ${variant === 0 ? 'b' : 'c'}, port: 80 }] }] }`,
    ),
  ),
  two((variant) =>
    api(
      'GRPCRoute',
      'grpc',
      `{ parentRefs: [{ group: "", kind: Service, name: b }], rules: [{ matches: [{ method: { service: s${variant} } }], backendRefs: [{ name: a, port: 80 }] }] }`,
    ),
  ),
  two(
    (variant) =>
      api(
        'Gateway',
        'api',
        `{ gatewayClassName: istio, listeners: [{ name: web, port: ${80 + variant}, protocol: HTTP }] }`,
      ) +
      api(
        'HTTPRoute',
        'atgateway',
        '{ parentRefs: [{ name: api }], hostnames: [api.test], rules: [{ backendRefs: [{ name: a, port: 80 }] }] }',
      ),
  ),
  two((variant) =>
    api(
      'BackendTLSPolicy',
      'tls',
      `{ targetRefs: [{ group: "", kind: Service, name: b }], validation: { hostname: b${variant}.test, wellKnownCACertificates: System } }`,
    ),
  ),
  two((variant) =>
    document(
      'apps/v1',
      'Deployment',
      'a',
      `spec: { selector: { matchLabels: { app: a } }, template: { metadata: { labels: { app: a } }, spec: { serviceAccountName: account${variant} } } }`,
    ),
  ),
  two((variant) =>
    networking(
      'WorkloadGroup',
      'back',
      `{ metadata: { labels: { tier: back } }, template: { serviceAccount: group${variant} } }`,
    ),
  ),
  two((variant) =>
    networking('WorkloadEntry', 'more', `{ address: 10.9.9.${variant + 1}, labels: { tier: back } }`),
  ),
  two(
    (variant) =>
      `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: c-1, labels: { kubernetes.io/service-name: c } }
addressType: IPv4
endpoints: [{ addresses: [10.8.0.${variant + 1}], targetRef: { kind: Pod, name: c-1 } }]
ports: [{ name: http, port: 8080 }]
${document('v1', 'Pod', 'c-1', `spec: { serviceAccountName: pod${variant} }`)}`,
  ),
  two((variant) =>
    document(
      'v1',
      'Secret',
      'tls',
      `type: Opaque\nstringData: { tls.crt: chain${variant}, tls.key: key, ca.crt: roots${variant} }`,
    ),
  ),
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
  /** By number of the document, whether it says something else; undefined = all stay. */
  documents: fc.option(
    fc.uniqueArray(fc.tuple(fc.nat({ max: FURTHER.length - 1 }), fc.boolean()), {
      maxLength: 12,
      selector: ([number]) => number,
    }),
    { nil: undefined },
  ),
  /** Clients that are compiled for with pauses, and how many of them; who is left in the middle is compiled for later. */
  left: fc.array(fc.tuple(fc.nat({ max: 7 }), fc.nat({ max: 20 })), { maxLength: 4 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const CLIENTS = [
  ...(['inmesh', 'grpc', 'envoy'] as const).map((generator) => nodeOf({ GENERATOR: generator })),
  nodeOf({ NAMESPACE: 'other' }),
  {
    ...nodeOf({
      GENERATOR: 'inmesh',
      LABELS: { app: 's0' },
      INMESH_WORKLOADS: [{ service: 'a', address: '10.0.0.1', port: 80, portName: '', tlsMode: 'istio' }],
    }),
  },
  nodeOf({ GENERATOR: 'envoy', INTERCEPTION_MODE: 'NONE' }),
  {
    ...nodeOf({ GENERATOR: 'envoy', LABELS: { istio: 'edge' }, INSTANCE_IPS: '10.7.0.1' }),
    id: 'router~10.7.0.1~edge.default~default.svc.cluster.local',
  },
];

const PARTS = ['listeners', 'routes', 'clusters', 'endpoints', 'wires', 'secrets', 'own'] as const;

/** Everything that clients receive, whatever the order. */
function contentOf(set: ResourceSet) {
  const { listeners, routes, clusters, endpoints, wireListeners, secrets } = set;
  const sorted = (resources: ReadonlyMap<string, object>) =>
    [...resources].sort(([a], [b]) => (a < b ? -1 : 1));
  const own = set.listenerOf('xds.istio.io/grpc/lds/inbound/10.0.0.1:80');
  return [...[listeners, routes, clusters, endpoints, wireListeners, secrets].map(sorted), own];
}

function take(registry: WorkloadRegistry, { owner, workloads }: Step): void {
  if (workloads === undefined) registry.remove(owner);
  else registry.lease(owner).update(workloads.map((one) => createWorkload(owner, one)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Takes so many steps. */
function begin(steps: Steps<ResourceSet>, count: number): Steps<ResourceSet> {
  for (let at = 0; at < count && steps.next().done !== true; at++);
  return steps;
}

test('what follows changes of registry and documents equals what is compiled anew', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
      const registry = createRegistry({ graceMs: 1000 }, createFakeClock());
      const following = createCompiler(DEFAULT_MESH_CONFIG);
      const halfway: Steps<ResourceSet>[] = [];
      const store = createConfigStore({ clock: createFakeClock(), logger: silentLogger });
      for (const one of steps) {
        take(registry, one);
        if (one.documents !== undefined || one === steps[0]) {
          const further = (one.documents ?? []).map(([number, isEdited]) => {
            const [before = '', after = ''] = FURTHER[number] ?? [];
            return { file: `${number}.yaml`, content: isEdited ? after : before };
          });
          const files = [{ file: 'always.yaml', content: DOCUMENTS }, ...further];
          expect(store.propose('test', { files })).toMatchObject({ accepted: true });
        }
        const view = store.current.value;
        const now = registry.current.value;
        // In order of owners, whatever happened before.
        const owned = [...workloadsIn(now)].sort((a, b) => compare(a.owner, b.owner));
        for (const [which, pauses] of one.left)
          halfway.push(begin(following.steps(view, now, CLIENTS[which] ?? nodeOf()), pauses));
        for (const client of CLIENTS) {
          const anew = createCompiler(DEFAULT_MESH_CONFIG);
          const then = contentOf(following.compile(view, now, client));
          const fresh = contentOf(anew.compile(view, snapshotOf(owned), client));
          expect(PARTS.filter((_, at) => !isDeepStrictEqual(then[at], fresh[at]))).toEqual([]);
          // One that is of the past by now goes on in between.
          halfway.shift()?.next();
        }
      }
    }),
    { numRuns: 10 },
  );
}, 120_000);
