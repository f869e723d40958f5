import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { analyzeDocuments } from '../../../src/control-plane.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createTestCa } from '../../../src/testing/test-ca.js';

interface Case {
  readonly title: string;
  readonly documents: readonly object[];
  /** `CODE Kind namespace/name`, for each finding of the codes that are asked for. */
  readonly found: readonly string[];
}

const clock = createFakeClock();

function findings(documents: readonly object[]) {
  const content = Buffer.from(documents.map((one) => stringify(one)).join('---\n'));
  return analyzeDocuments({ files: [{ file: 'mesh.yaml', content }] }, { now: clock.wallTime() });
}

/** What the analysis finds of some codes. */
function found(documents: readonly object[], codes: RegExp): readonly string[] {
  return findings(documents).flatMap(({ code, origin }) => (codes.test(code) ? `${code} ${origin}` : []));
}

function document(kind: string, name: string, spec: object, metadata: object = {}) {
  const apiVersion = VERSIONS[kind] ?? 'networking.istio.io/v1';
  return { apiVersion, kind, metadata: { name, namespace: 'shop', ...metadata }, spec };
}

const VERSIONS: Readonly<Record<string, string>> = {
  EnvoyFilter: 'networking.istio.io/v1alpha3',
  Pod: 'v1',
  RequestAuthentication: 'security.istio.io/v1',
  Service: 'v1',
};

const TO_CART = { route: [{ destination: { host: 'cart' } }] };
const routes = (...http: readonly object[]) => [
  document('VirtualService', 'cart', { hosts: ['cart'], http }),
];
const pod = (name: string, labels: object) => document('Pod', name, { containers: [] }, { labels });

function check(codes: RegExp, cases: readonly Case[]) {
  test.each(cases)('$title', ({ documents, found: expected }) => {
    expect(found(documents, codes)).toEqual(expected);
  });
}

describe('routes that get nothing (IST0130, IST0131; behind a route for everything INM0002)', () => {
  check(/^(?:IST013[01]|INM0002)$/, [
    {
      title: 'only the last route may have no match',
      documents: routes(TO_CART, TO_CART),
      found: ['IST0130 VirtualService shop/cart'],
    },
    {
      title: 'a route with matches behind one without is one that everything passes by',
      documents: routes(TO_CART, { ...TO_CART, match: [{ uri: { exact: '/a' } }] }),
      found: ['INM0002 VirtualService shop/cart'],
    },
    {
      title: 'what is handed on to another VirtualService has the matches of that one',
      documents: routes({ delegate: { name: 'a' } }, { ...TO_CART, match: [{ uri: { exact: '/a' } }] }),
      found: [],
    },
    {
      title: 'a match that says a default says the same as one that does not',
      documents: routes(
        { ...TO_CART, match: [{ name: 'one', uri: { exact: '/a' } }] },
        { ...TO_CART, match: [{ name: 'two', uri: { exact: '/a' }, ignoreUriCase: false, gateways: [] }] },
      ),
      found: ['IST0130 VirtualService shop/cart', 'IST0131 VirtualService shop/cart'],
    },
    {
      title: 'repeated matches are told behind a route without a match, too',
      documents: routes(TO_CART, { ...TO_CART, match: [{ port: 80 }, { port: 80 }] }),
      found: ['INM0002 VirtualService shop/cart', 'IST0131 VirtualService shop/cart'],
    },
  ]);
});

describe('ServiceEntries of TCP (IST0134)', () => {
  const entry = (more: object) => [
    document('ServiceEntry', 'db', {
      hosts: ['db.example.com'],
      ports: [{ number: 5432, name: 'tcp', protocol: 'TCP' }],
      ...more,
    }),
  ];
  check(/^IST0134$/, [
    {
      title: 'an empty list of addresses is none',
      documents: entry({ addresses: [] }),
      found: ['IST0134 ServiceEntry shop/db'],
    },
    { title: 'an address is enough', documents: entry({ addresses: ['10.0.0.1'] }), found: [] },
  ]);
});

describe('EnvoyFilters that depend on filters of some versions (IST0151, IST0155)', () => {
  const VERSIONED = { proxy: { proxyVersion: '^1\\.2' } };
  const AT = { listener: { filterChain: { filter: { name: 'lua' } } } };
  const filter = (name: string, patch: object) => document('EnvoyFilter', name, { configPatches: [patch] });
  const added = { operation: 'ADD', value: { name: 'lua' } };
  check(/^IST015[15]$/, [
    {
      title: 'the same name of a value',
      documents: [
        filter('a', { applyTo: 'HTTP_FILTER', match: VERSIONED, patch: added }),
        filter('b', { applyTo: 'HTTP_FILTER', patch: { operation: 'INSERT_AFTER', value: { name: 'lua' } } }),
      ],
      found: ['IST0155 EnvoyFilter shop/b'],
    },
    {
      title: 'the name of a match is no name of a value (Istio)',
      documents: [
        filter('a', { applyTo: 'HTTP_FILTER', match: VERSIONED, patch: added }),
        filter('b', { applyTo: 'HTTP_FILTER', match: AT, patch: { operation: 'INSERT_AFTER', value: {} } }),
      ],
      found: ['IST0151 EnvoyFilter shop/b'],
    },
  ]);
});

describe('gateways', () => {
  const LABELS = { app: 'edge' };
  const gateway = (server: object) => document('Gateway', 'edge', { selector: LABELS, servers: [server] });
  const HTTP = { port: { number: 8080, name: 'http', protocol: 'HTTP' }, hosts: ['*'] };
  const service = (targetPort: unknown) =>
    document('Service', 'edge', {
      selector: LABELS,
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort }],
    });

  check(/^IST0162$/, [
    {
      title: 'IST0162: a target port may be the text of a number',
      documents: [pod('edge', LABELS), service('8080'), gateway(HTTP)],
      found: [],
    },
    {
      title: 'IST0162: a named target port is not a number',
      documents: [pod('edge', LABELS), service('http'), gateway(HTTP)],
      found: ['IST0162 Gateway shop/edge'],
    },
  ]);

  test('IST0161: names of Istio count when both are there, else those of Kubernetes', async () => {
    const { pem: certificate } = (await createTestCa({ clock })).certificate('edge', {});
    const server = { ...HTTP, tls: { mode: 'SIMPLE', credentialName: 'edge' } };
    const documents = (data: object) => [
      pod('edge', LABELS),
      gateway(server),
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'edge', namespace: 'shop' }, stringData: data },
    ];
    const tls = { 'tls.crt': certificate, 'tls.key': 'a key' };
    expect(found(documents({ ...tls, cert: certificate }), /^IST0161$/)).toEqual([]);
    expect(found(documents({ cert: certificate }), /^IST0161$/)).toEqual(['IST0161 Gateway shop/edge']);
    expect(found(documents({ ...tls, cert: 'x', key: 'y' }), /^IST0161$/)).toEqual([
      'IST0161 Gateway shop/edge',
    ]);
  });

  test('IST0166: each gateway of the Gateway API that a selector takes is named', () => {
    const labels = (name: string) => ({ ...LABELS, 'gateway.networking.k8s.io/gateway-name': name });
    const policy = document('RequestAuthentication', 'jwt', { selector: { matchLabels: LABELS } });
    const documents = [pod('a', labels('one')), pod('b', labels('two')), pod('c', labels('one')), policy];
    const messages = findings(documents).flatMap(({ code, message }) => (code === 'IST0166' ? message : []));
    expect(messages).toEqual([
      expect.stringContaining('gateway one'),
      expect.stringContaining('gateway two'),
    ]);
  });

  test('IST0149: each workload of the gateway where no token is verified is named', () => {
    const match = [{ headers: { '@request.auth.claims.group': { exact: 'admin' } } }];
    const documents = [
      pod('a', LABELS),
      pod('b', { ...LABELS, verified: 'yes' }),
      pod('c', LABELS),
      gateway(HTTP),
      document('RequestAuthentication', 'jwt', { selector: { matchLabels: { verified: 'yes' } } }),
      document('VirtualService', 'cart', {
        hosts: ['cart'],
        gateways: ['edge'],
        http: [{ ...TO_CART, match }],
      }),
    ];
    const messages = findings(documents).flatMap(({ code, message }) => (code === 'IST0149' ? message : []));
    expect(messages).toEqual([expect.stringContaining(' at a '), expect.stringContaining(' at c ')]);
  });
});

describe('hosts of wildcards (IST0101)', () => {
  const documents = (host: string) => [
    document('ServiceEntry', 'all', {
      hosts: ['*.cluster.local'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    }),
    document('VirtualService', 'cart', {
      hosts: ['cart'],
      http: [{ route: [{ destination: { host } }] }],
    }),
  ];
  check(/^IST0101$/, [
    { title: 'are held against the full name', documents: documents('a.cluster.local'), found: [] },
    {
      title: 'are not held against what a short name stands for',
      documents: documents('cart'),
      found: ['IST0101 VirtualService shop/cart'],
    },
  ]);
});

describe('webhooks of a control plane elsewhere (IST0163, IST0164)', () => {
  test.each([
    ['https://istiod.example.com:15017/inject', []],
    ['https://istiod.invalid/inject', ['IST0163']],
    ['https://istiod_1.example.com/inject', ['IST0163']],
    ['https:///inject', ['IST0163']],
    ['https://10.0.0.1/inject', ['IST0164']],
    ['https://[2001:db8::1]/inject', ['IST0164']],
  ])('%s', (url, codes) => {
    const hook = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'istio-sidecar-injector' },
      webhooks: [{ name: 'namespace.sidecar-injector.istio.io', clientConfig: { url } }],
    };
    const name = 'MutatingWebhookConfiguration istio-sidecar-injector';
    expect(found([hook], /^IST016[34]$/)).toEqual(codes.map((code) => `${code} ${name}`));
  });
});

describe('settings of a proxy in an annotation (IST0125)', () => {
  test.each([
    ['concurrency: 2', []],
    ['', []],
    ['concurency: 2', ['IST0125']],
    ['proxyAdminPort: 0', ['IST0125']],
    ['drain_duration: 1.5s', ['IST0125']],
    ['tracing: { zipkin: { address: nowhere } }', ['IST0125']],
    ['tracing: { tlsSettings: { mode: MUTUAL } }', ['IST0125']],
    ['{', ['IST0125']],
  ])('%j', (value, codes) => {
    const annotated = document('Pod', 'cart', {}, { annotations: { 'proxy.istio.io/config': value } });
    expect(found([annotated], /^IST0125$/)).toEqual(codes.map((code) => `${code} Pod shop/cart`));
  });
});

describe('rules of the MeshConfig in a ConfigMap (IST0106)', () => {
  const map = (name: string, mesh: string) => [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'istio-system' }, data: { mesh } },
  ];
  check(/^IST01(?:06|33)$/, [
    { title: 'are kept', documents: map('istio', 'connectTimeout: 5s'), found: [] },
    {
      title: 'are broken',
      documents: map('istio', 'connectTimeout: 0.0001s'),
      found: ['IST0106 ConfigMap istio-system/istio'],
    },
    { title: 'are none of another ConfigMap', documents: map('cart', 'connectTimeout: 0.0001s'), found: [] },
  ]);
});
