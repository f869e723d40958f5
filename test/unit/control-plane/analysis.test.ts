import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AnalyzeOptions,
  analyzeDocuments,
  FINDING_CODES,
  parseSuppression,
} from '../../../src/control-plane.js';

function analyze(text: string, options: AnalyzeOptions = {}) {
  return analyzeDocuments(
    { files: [{ file: 'mesh.yaml', content: Buffer.from(text) }] },
    { now: Date.parse('2026-01-01T00:00:00Z'), ...options },
  );
}

const codesOf = (text: string, options?: AnalyzeOptions) =>
  analyze(text, options).map(({ code, place }) => `${code} ${place?.origin.line}`);

const virtualService = (http: string, hosts = '[cart]') => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: cart, namespace: shop }
spec:
  hosts: ${hosts}
  http:
${http}`;

const destinationRule = (spec: string, name = 'cart') => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: shop }
spec:
  host: cart
${spec}`;

const TO_CART = 'route: [{ destination: { host: cart } }]';

describe('what users trip over, and Istio does not tell', () => {
  test.each([
    {
      title: 'a route behind one that takes everything by its match',
      text: virtualService(`    - { match: [{ uri: { prefix: / } }], ${TO_CART} }
    - { match: [{ uri: { prefix: /a } }], ${TO_CART} }`),
      codes: ['INM0002 8'],
    },
    {
      title: 'a route behind one of a narrower match is reached',
      text: virtualService(`    - { match: [{ uri: { prefix: / }, method: { exact: GET } }], ${TO_CART} }
    - { match: [{ uri: { prefix: /a } }], ${TO_CART} }`),
      codes: [],
    },
    {
      title: 'a timeout that ends before the first retry',
      text: virtualService(`    - ${TO_CART}
      timeout: 1s
      retries: { attempts: 3, perTryTimeout: 1s }`),
      codes: ['INM0003 8'],
    },
    {
      title: 'many tries of one request',
      text: virtualService(`    - ${TO_CART}\n      retries: { attempts: 9 }`),
      codes: ['INM0004 8'],
    },
    {
      title: 'a destination without a weight next to others',
      text: virtualService(`    - route:
        - { destination: { host: cart }, weight: 100 }
        - { destination: { host: other } }`),
      codes: ['INM0005 9'],
    },
    {
      title: 'outlier detection that may take out every host',
      text: destinationRule(`  trafficPolicy: { outlierDetection: { maxEjectionPercent: 100 } }`),
      codes: ['INM0006 6'],
    },
    {
      title: 'a second rule for one host',
      text: [
        destinationRule(`  trafficPolicy: { loadBalancer: { simple: RANDOM } }`),
        destinationRule(`  trafficPolicy: { loadBalancer: { simple: RANDOM } }`, 'again'),
      ].join('\n---\n'),
      codes: ['INM0007 13'],
    },
    {
      title: 'a subset that no route leads to',
      text: [
        destinationRule(`  subsets: [{ name: v1 }, { name: v2 }]`),
        virtualService(`    - route: [{ destination: { host: cart, subset: v1 } }]`),
      ].join('\n---\n'),
      codes: ['INM0010 6'],
    },
    {
      title: 'plain text towards workloads that insist on mTLS',
      text: `apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec: { selector: { app: cart }, ports: [{ name: http, port: 80 }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
${destinationRule('  trafficPolicy: { tls: { mode: DISABLE } }')}`,
      codes: ['INM0008 16'],
    },
    {
      title: 'a rule of DENY that is for everybody',
      text: `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: shop }
spec: { action: DENY, rules: [{}] }`,
      codes: ['INM0009 4'],
    },
  ])('$title', ({ text, codes }) => {
    expect(codesOf(text).filter((one) => one.startsWith('INM'))).toEqual(codes);
  });
});

describe('documents are judged by what is there', () => {
  const TO_NOBODY = virtualService(`    - route: [{ destination: { host: nobody } }]`);
  const SERVICE = `apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec: { ports: [{ name: http, port: 80 }] }
---
`;

  test('hosts are looked up once there is any service', () => {
    expect(codesOf(TO_NOBODY)).toEqual([]);
    expect(codesOf(`${SERVICE}${TO_NOBODY}`)).toEqual(['IST0101 12']);
  });

  test('services that are registered elsewhere count', () => {
    const services = [{ host: 'nobody.shop.svc.cluster.local', ports: [] }];
    expect(codesOf(`${SERVICE}${TO_NOBODY}`, { services })).toEqual([]);
  });

  test('a broken document is told, and the others are analyzed all the same', () => {
    const found = analyze(`${SERVICE}${TO_NOBODY}\n---\nkind: [\n`);
    expect(found.map(({ code }) => code).sort()).toEqual(['INM0001', 'IST0101']);
  });

  test('a document that breaks the rules of its kind says which, and where', () => {
    const [found] = analyze(virtualService(`    - { ${TO_CART}, timeout: soon }`));
    expect(found).toMatchObject({ code: 'IST0106', origin: 'VirtualService shop/cart' });
    expect(found?.place).toMatchObject({ origin: { file: 'mesh.yaml', line: 7, column: 60 }, length: 4 });
  });

  test('Gateways are told apart by their group, and can be silenced like any other', () => {
    const text = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec: { gatewayClassName: inmesh, listeners: [{ name: a, port: 0, protocol: HTTP }] }`;
    expect(analyze(text)).toMatchObject([{ code: 'IST0106', origin: 'Gateway shop/edge' }]);
    const silenced = parseSuppression('IST0106=Gateway shop/edge');
    expect(analyze(text, { suppressions: silenced === undefined ? [] : [silenced] })).toEqual([]);
  });
});

test('docs/analysis.md has every code', () => {
  const page = readFileSync(new URL('../../../docs/analysis.md', import.meta.url), 'utf8');
  const rows = Object.entries(FINDING_CODES).map(
    ([code, { name, level, summary }]) => `| ${code} | ${name} | ${level} | ${summary} |`,
  );
  expect(page.match(/^\| I(?:ST|NM)\d.*$/gm)).toEqual(rows);
});

test('no document makes the analysis fail', () => {
  const kinds = ['VirtualService', 'DestinationRule', 'Gateway', 'Service', 'Pod', 'Deployment', 'Sidecar']
    .concat(['ServiceEntry', 'Telemetry', 'EnvoyFilter', 'AuthorizationPolicy', 'PeerAuthentication'])
    .concat(['ConfigMap', 'Secret', 'Namespace', 'MutatingWebhookConfiguration', 'RequestAuthentication'])
    .concat(['WasmPlugin', 'WorkloadEntry', 'CustomResourceDefinition', 'HTTPRoute', 'ProxyConfig']);
  const names = ['spec', 'hosts', 'host', 'http', 'route', 'match', 'destination', 'subsets', 'selector']
    .concat(['labels', 'matchLabels', 'ports', 'port', 'servers', 'tls', 'trafficPolicy', 'mode', 'uri'])
    .concat(['template', 'containers', 'metadata', 'annotations', 'data', 'webhooks', 'clientConfig'])
    .concat(['retries', 'timeout', 'name', 'number', 'targetRefs', 'rules', 'exportTo', 'workloadSelector'])
    .concat(['conditions', 'status', 'configPatches', 'accessLogging', 'providers', 'gateways', 'mesh']);
  const leaf = fc.oneof(
    fc.constantFrom(
      null,
      true,
      0,
      80,
      '',
      '*',
      'cart',
      '*.com',
      'shop/cart',
      '1s',
      'mesh',
      '\u0000',
      '[',
      '__proto__',
    ),
    fc.string({ maxLength: 8 }),
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 5 }),
    ),
  }));
  const groups = [
    'networking.istio.io/v1',
    'security.istio.io/v1',
    'v1',
    'apps/v1',
    'telemetry.istio.io/v1',
  ].concat([
    'gateway.networking.k8s.io/v1',
    'extensions.istio.io/v1alpha1',
    'admissionregistration.k8s.io/v1',
  ]);
  const document = fc.record({
    apiVersion: fc.constantFrom(...groups),
    kind: fc.constantFrom(...kinds),
    metadata: fc.oneof(
      fc.record({
        name: fc.constantFrom('cart', 'shop', 'istio'),
        namespace: fc.constantFrom('shop', 'istio-system'),
        labels: value,
        annotations: value,
      }),
      value,
    ),
    spec: value,
    data: value,
  });
  fc.assert(
    fc.property(fc.array(document, { maxLength: 4 }), (documents) => {
      const text = documents.map((one) => JSON.stringify(one)).join('\n---\n');
      for (const { code } of analyze(text)) expect(FINDING_CODES).toHaveProperty(code);
    }),
    { numRuns: 60 },
  );
});
