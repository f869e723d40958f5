import { describe, expect, test } from 'vitest';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { compile, nodeOf, registryOf, viewOf } from './mesh.js';

const entry = (spec: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: e, namespace: default }
spec:
  ports: [{ number: 8080, name: http, protocol: HTTP${spec.includes('targetPort') ? ', targetPort: 9090' : ''} }]
${spec.replace('targetPort', '')}
`;

const WILDCARD = entry('  hosts: ["*.example.com"]');
const ALIAS = `
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: default }
spec: { ports: [{ port: 80, name: http }], selector: { app: reviews } }
---
apiVersion: v1
kind: Service
metadata: { name: ratings, namespace: other }
spec: { type: ExternalName, externalName: reviews.default.svc.cluster.local }
`;

describe('hosts that are dialled as the application asked for them', () => {
  test('a ServiceEntry without resolution, wildcards included, has a listener and such a cluster', () => {
    const { listeners, clusters, routes } = compile(WILDCARD);
    expect([...listeners.keys()]).toContain('*.example.com:8080');
    const name = 'outbound|8080||*.example.com';
    expect(routes.get(name)?.virtualHosts[0]?.domains).toEqual(['*.example.com', '*.example.com:8080']);
    expect(clusters.get(name)).toMatchObject({
      discovery: { kind: 'original-dst', port: undefined, cleanupIntervalMs: 5000 },
      lbPolicy: { kind: 'cluster-provided' },
    });
  });

  test('so are the names that DYNAMIC_DNS resolves, by Envoys as their proxy is asked for them', () => {
    const dynamic = entry('  hosts: ["*.example.com"]\n  resolution: DYNAMIC_DNS');
    const kindFor = (generator: string) =>
      compile(dynamic, [], nodeOf({ GENERATOR: generator })).clusters.get('outbound|8080||*.example.com')
        ?.discovery.kind;
    expect(['inmesh', 'envoy', 'grpc'].map(kindFor)).toEqual(['original-dst', 'forward-proxy', undefined]);
  });

  test('a target port replaces the one that was dialled', () => {
    const { clusters } = compile(entry('  hosts: [a.example.com]\n  resolution: NONE # targetPort'));
    expect(clusters.get('outbound|8080||a.example.com')?.discovery).toMatchObject({ port: 9090 });
  });

  test('the policy PASSTHROUGH makes one of any service', () => {
    const { clusters } = compile(`${entry('  hosts: [a.example.com]\n  resolution: DNS')}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: d, namespace: default }
spec: { host: a.example.com, trafficPolicy: { loadBalancer: { simple: PASSTHROUGH } } }
`);
    expect(clusters.get('outbound|8080||a.example.com')?.discovery.kind).toBe('original-dst');
  });

  test('gRPC’s own clients are told nothing of them', () => {
    const { listeners, clusters } = compile(WILDCARD, [], nodeOf({ GENERATOR: 'grpc' }));
    expect([listeners.size, clusters.size]).toEqual([0, 0]);
  });
});

describe('a service of the type ExternalName', () => {
  test('is a further name of the service that it points to', () => {
    const { listeners, routes } = compile(ALIAS);
    expect([...listeners.keys()].sort()).toEqual([
      'ratings.other.svc.cluster.local:80',
      'reviews.default.svc.cluster.local:80',
    ]);
    const [virtualHost] = routes.get('outbound|80||reviews.default.svc.cluster.local')?.virtualHosts ?? [];
    expect(virtualHost?.domains).toEqual(
      expect.arrayContaining([
        'reviews',
        'reviews:80',
        'ratings.other',
        'ratings.other.svc.cluster.local:80',
      ]),
    );
    // Short names work in their own namespace only.
    expect(virtualHost?.domains).not.toContain('ratings');
  });

  test('that points out of the mesh passes it by', () => {
    const { listeners } = compile(ALIAS.replace('reviews.default.svc.cluster.local', 'example.com'));
    expect([...listeners.keys()]).toEqual(['reviews.default.svc.cluster.local:80']);
  });
});

describe('hosts that nobody knows', () => {
  test('pass by, or with REGISTRY_ONLY are answered with 502', () => {
    expect(compile(ALIAS).listeners.has('*')).toBe(false);
    const compiler = createCompiler({ ...DEFAULT_MESH_CONFIG, outboundTrafficPolicy: 'REGISTRY_ONLY' });
    const { listeners, routes } = compiler.compile(viewOf(ALIAS), registryOf([]), nodeOf());
    expect(listeners.get('*')).toMatchObject({ http: { routes: { kind: 'rds', name: 'block_all' } } });
    expect(routes.get('block_all')?.virtualHosts[0]).toMatchObject({
      domains: ['*'],
      routes: [{ action: { kind: 'direct-response', status: 502 } }],
    });
    const { listeners: forGrpc } = compiler.compile(
      viewOf(ALIAS),
      registryOf([]),
      nodeOf({ GENERATOR: 'grpc' }),
    );
    expect(forGrpc.has('*')).toBe(false);
  });
});
