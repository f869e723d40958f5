import { describe, expect, test } from 'vitest';
import { compile, nodeOf } from './mesh.js';

// Which rules hold for a host when several could: by age, namespace, wildcard and Sidecar, for VirtualServices and for
// HTTPRoutes that hang on a Service.

const FULL = '.svc.cluster.local';
const SHOP = `cart.shop${FULL}`;
const OTHER = `pay.shop${FULL}`;
const AWAY = `depot.away${FULL}`;
const SERVICES = [
  ['cart', 'shop'],
  ['pay', 'shop'],
  ['depot', 'away'],
].map(([name, namespace]) =>
  document('v1', 'Service', `${name}`, `${namespace}`, {
    ports: [
      { name: 'http', port: 80 },
      { name: 'http-alt', port: 8080 },
    ],
  }),
);

function document(apiVersion: string, kind: string, name: string, namespace: string, spec: object, age = 0) {
  const creationTimestamp = `20${10 + age}-01-01T00:00:00Z`;
  return JSON.stringify({ apiVersion, kind, metadata: { name, namespace, creationTimestamp }, spec });
}

interface Rule {
  readonly in: string;
  readonly hosts: readonly string[];
  readonly to: string;
  readonly port?: number;
  readonly on?: number;
  /** The higher the younger. */
  readonly age?: number;
}

function virtualService({ in: namespace, hosts, to, port, on, age }: Rule, index: number): string {
  const destination = { host: to, ...(port !== undefined && { port: { number: port } }) };
  const match = on === undefined ? {} : { match: [{ port: on }] };
  const spec = { hosts, http: [{ ...match, route: [{ destination }] }] };
  return document('networking.istio.io/v1', 'VirtualService', `rule-${index}`, namespace, spec, age);
}

function httpRoute({ in: namespace, hosts, to, port = 80, on, age }: Rule, index: number): string {
  const parentRefs = hosts.map((host) => {
    const [name, from] = host.split('.');
    return { group: '', kind: 'Service', name, namespace: from, ...(on !== undefined && { port: on }) };
  });
  const backendRefs = [{ group: 'networking.istio.io', kind: 'Hostname', name: to, port }];
  const spec = { parentRefs, rules: [{ backendRefs }] };
  return document('gateway.networking.k8s.io/v1', 'HTTPRoute', `rule-${index}`, namespace, spec, age);
}

interface Case {
  readonly name: string;
  readonly rules: readonly Rule[];
  /** What the Sidecar of the client's namespace imports. */
  readonly imports?: readonly string[];
  readonly from?: string;
  readonly port?: number;
  /** Where hosts lead to: a destination without its `outbound|`; null = no virtual host. */
  readonly virtualService?: Readonly<Record<string, string | null>>;
  readonly httpRoute?: Readonly<Record<string, string | null>>;
}

const both = (expected: Readonly<Record<string, string | null>>) => ({
  virtualService: expected,
  httpRoute: expected,
});
const unknown = `nobody.shop${FULL}`;

const cases: readonly Case[] = [
  {
    name: 'a rule of the service’s own',
    rules: [{ in: 'shop', hosts: [SHOP], to: OTHER }],
    ...both({ [SHOP]: `80||${OTHER}` }),
  },
  {
    name: 'the port of the call goes on, but a backend names its own',
    rules: [{ in: 'shop', hosts: [SHOP], to: OTHER }],
    port: 8080,
    virtualService: { [SHOP]: `8080||${OTHER}` },
    httpRoute: { [SHOP]: `80||${OTHER}` },
  },
  {
    name: 'a host that no service has is on port 80, and no parent of a route',
    rules: [{ in: 'shop', hosts: [unknown], to: unknown }],
    virtualService: { [unknown]: `80||${unknown}` },
    httpRoute: { [unknown]: null },
  },
  ...[{}, { on: 8080 }, { port: 8080 }].map((more) => ({
    name: `a host that no service has is on no other port ${JSON.stringify(more)}`,
    rules: [{ in: 'shop', hosts: [unknown], to: unknown, ...more }],
    port: 8080,
    ...both({ [unknown]: null }),
  })),
  {
    name: 'the rule of the service’s namespace holds for others',
    rules: [{ in: 'shop', hosts: [SHOP], to: OTHER }],
    from: 'away',
    ...both({ [SHOP]: `80||${OTHER}` }),
  },
  {
    name: 'the rule of the caller’s namespace holds for it',
    rules: [{ in: 'away', hosts: [SHOP], to: OTHER }],
    from: 'away',
    ...both({ [SHOP]: `80||${OTHER}` }),
  },
  {
    name: 'a rule of a third namespace holds when it is a VirtualService',
    rules: [{ in: 'third', hosts: [SHOP], to: OTHER }],
    from: 'away',
    virtualService: { [SHOP]: `80||${OTHER}` },
    httpRoute: { [SHOP]: `80||${SHOP}` },
  },
  {
    name: 'of several VirtualServices the oldest, of HTTPRoutes the caller’s',
    rules: [
      { in: 'third', hosts: [SHOP], to: 'third.example.com', age: 1 },
      { in: 'shop', hosts: [SHOP], to: 'shop.example.com', age: 2 },
      { in: 'away', hosts: [SHOP], to: 'away.example.com', age: 3 },
    ],
    from: 'away',
    port: 8080,
    virtualService: { [SHOP]: '8080||third.example.com' },
    httpRoute: { [SHOP]: '80||away.example.com' },
  },
  {
    name: 'a wildcard of no service stands by itself',
    rules: [{ in: 'shop', hosts: ['*.none.example.com'], to: 'any.example.com' }],
    virtualService: { [SHOP]: `80||${SHOP}`, '*.none.example.com': '80||any.example.com' },
  },
  ...[1, 3].map((age) => ({
    name: `an exact host goes before a wildcard, whatever their age (${age})`,
    rules: [
      { in: 'shop', hosts: ['*.cluster.local'], to: 'wild.example.com', age },
      { in: 'shop', hosts: [SHOP], to: 'exact.example.com', age: 2 },
    ],
    virtualService: {
      [SHOP]: '80||exact.example.com',
      [OTHER]: '80||wild.example.com',
      '*.cluster.local': null,
    },
  })),
  {
    name: 'wildcards hold for services that are imported, though they are not',
    rules: [
      { in: 'shop', hosts: ['*.cluster.local'], to: 'wild.example.com', age: 1 },
      { in: 'shop', hosts: [SHOP], to: 'exact.example.com', age: 2 },
    ],
    imports: [`shop/${SHOP}`, `shop/${OTHER}`],
    virtualService: {
      [SHOP]: '80||exact.example.com',
      [OTHER]: '80||wild.example.com',
      '*.cluster.local': null,
    },
  },
  {
    name: 'but not those of a namespace that is not imported',
    rules: [
      { in: 'away', hosts: ['*.cluster.local'], to: 'wild.example.com', age: 1 },
      { in: 'shop', hosts: [SHOP], to: 'exact.example.com', age: 2 },
    ],
    imports: [`shop/${SHOP}`, `shop/${OTHER}`],
    virtualService: { [SHOP]: '80||exact.example.com', [OTHER]: `80||${OTHER}`, '*.cluster.local': null },
  },
  {
    name: 'a host below a wildcard that both are unknown',
    rules: [
      { in: 'shop', hosts: ['*.tld'], to: 'wild.example.com', age: 1 },
      { in: 'shop', hosts: ['one.tld'], to: 'exact.example.com', age: 2 },
    ],
    virtualService: {
      [SHOP]: `80||${SHOP}`,
      '*.tld': '80||wild.example.com',
      'one.tld': '80||exact.example.com',
    },
  },
  {
    name: 'an unknown host that the Sidecar’s wildcard covers',
    rules: [{ in: 'shop', hosts: ['any.svc.cluster.local'], to: 'any.svc.cluster.local' }],
    imports: ['*/*.cluster.local'],
    virtualService: { 'any.svc.cluster.local': '80||any.svc.cluster.local' },
  },
  {
    name: 'a wildcard of services of which the Sidecar imports one',
    rules: [{ in: 'shop', hosts: ['*.cluster.local'], to: 'any.example.com' }],
    imports: [`*/${SHOP}`],
    virtualService: { [SHOP]: '80||any.example.com', [OTHER]: null, '*.cluster.local': null },
  },
  {
    name: 'a wildcard of no service that an import is part of',
    rules: [{ in: 'shop', hosts: ['*.example.org'], to: 'any.example.com' }],
    imports: ['*/one.example.org', `*/${OTHER}`],
    virtualService: { [SHOP]: null, [OTHER]: `80||${OTHER}`, '*.example.org': '80||any.example.com' },
  },
  {
    name: 'rules that are not imported leave nothing behind',
    rules: [
      { in: 'away', hosts: ['*.shop.svc.cluster.local'], to: 'any.example.com' },
      { in: 'shop', hosts: [unknown], to: unknown },
    ],
    imports: ['away/*.shop.svc.cluster.local', `away/${AWAY}`],
    from: 'away',
    virtualService: {
      '*.shop.svc.cluster.local': '80||any.example.com',
      [unknown]: null,
      [AWAY]: `80||${AWAY}`,
    },
  },
  {
    name: 'of two in different namespaces the older, or the consumer’s route',
    rules: [
      { in: 'away', hosts: [SHOP], to: 'older.example.com', age: 1 },
      { in: 'shop', hosts: [SHOP], to: 'younger.example.com', age: 2 },
    ],
    virtualService: { [SHOP]: '80||older.example.com' },
    httpRoute: { [SHOP]: '80||younger.example.com' },
  },
  {
    name: 'of two in one namespace the older',
    rules: [
      { in: 'shop', hosts: [SHOP], to: 'older.example.com', age: 1 },
      { in: 'shop', hosts: [SHOP], to: 'younger.example.com', age: 2 },
    ],
    ...both({ [SHOP]: '80||older.example.com' }),
  },
  {
    name: 'a rule is no service: without one on the port there is nothing',
    rules: [{ in: 'shop', hosts: [unknown], to: 'any.example.com' }],
    imports: [`*/${unknown}`],
    virtualService: { [unknown]: null },
  },
  {
    name: 'of a rule with several hosts one is imported',
    rules: [{ in: 'shop', hosts: [SHOP, OTHER], to: 'any.example.com' }],
    imports: [`*/${SHOP}`],
    virtualService: { [SHOP]: '80||any.example.com', [OTHER]: '80||any.example.com' },
    httpRoute: { [SHOP]: '80||any.example.com', [OTHER]: null },
  },
];

const makers = { virtualService, httpRoute };

for (const variant of ['virtualService', 'httpRoute'] as const) {
  describe(`as ${variant}`, () => {
    test.each(cases.filter((one) => one[variant] !== undefined))('$name', (one) => {
      const { rules, imports, from = 'shop', port = 80, [variant]: expected = {} } = one;
      const sidecar = { egress: [{ hosts: imports }] };
      const documents = [
        ...SERVICES,
        ...rules.map(makers[variant]),
        ...(imports === undefined
          ? []
          : [document('networking.istio.io/v1', 'Sidecar', 'it', from, sidecar)]),
      ];
      for (const GENERATOR of ['inmesh', 'envoy']) {
        const node = nodeOf({ GENERATOR, NAMESPACE: from, INTERCEPTION_MODE: 'NONE' });
        const { routes } = compile(documents.join('\n---\n'), [], node);
        const tables = [...routes.values()].filter(({ name }) =>
          GENERATOR === 'envoy' ? name === String(port) : name.startsWith(`outbound|${port}||`),
        );
        const found = Object.keys(expected).map((host) => {
          const virtualHost = tables
            .flatMap(({ virtualHosts }) => virtualHosts)
            .find(({ domains }) => domains.includes(host));
          const clusters = virtualHost?.routes.map(({ action }) =>
            action.kind === 'forward' && action.cluster.kind === 'cluster'
              ? action.cluster.name
              : action.kind,
          );
          return [host, clusters?.join().replace('outbound|', '') ?? null];
        });
        expect(Object.fromEntries(found), GENERATOR).toEqual(expected);
      }
    });
  });
}
