import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { main } from '../../../../src/cli/main.js';
import type { Conversion } from '../../../../src/control-plane/convert/conversion.js';
import { toGatewayApi } from '../../../../src/control-plane/convert/to-gateway-api.js';
import { toIstio } from '../../../../src/control-plane/convert/to-istio.js';
import { explainIn } from '../../../../src/control-plane/explain/explain-in.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { snapshotOf } from '../../../../src/control-plane/registry/snapshot.js';
import { networking, service, viewOf } from '../compile/mesh.js';

const SERVICES = ['reviews', 'reviews-v2', 'audit'].map((name) => service(name)).join('');

function textOf({ documents }: Conversion): string {
  return documents.map((one) => `---\n${stringify(one)}`).join('');
}

async function decisions(text: string, urls: readonly string[]): Promise<readonly unknown[]> {
  const state = { view: viewOf(text), registry: snapshotOf([]), config: DEFAULT_MESH_CONFIG };
  return Promise.all(
    urls.map(async (url) => {
      const { cluster, rewritten, response, timeouts } = await explainIn(state, {
        method: 'GET',
        url: `http://reviews:9080${url}`,
        headers: url.endsWith('?jason') ? [['end-user', 'jason']] : [],
      });
      return { cluster, path: rewritten?.path, location: response?.location, ms: timeouts?.requestMs };
    }),
  );
}

const PATHS = ['/', '/old', '/old/a', '/older', '/moved/x', '/x?jason', '/exact', '/exact/no'];

const ROUTE = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews, port: 9080 }]
  rules:
    - matches: [{ path: { value: /old } }]
      filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /new/ } } }]
      backendRefs: [{ name: reviews-v2, port: 9080 }]
    - matches: [{ path: { value: /moved } }]
      filters: [{ type: RequestRedirect, requestRedirect: { hostname: x.org, path: { type: ReplaceFullPath, replaceFullPath: /gone } } }]
    - matches: [{ path: { type: Exact, value: /exact } }, { headers: [{ name: end-user, value: jason }] }]
      backendRefs: [{ name: audit, port: 9080 }]
      timeouts: { request: 1500ms }
    - backendRefs: [{ name: reviews, port: 9080 }]
`;

test('routes of the Gateway API become rules of Istio that decide the same', async () => {
  const conversion = toIstio(viewOf(`${SERVICES}${ROUTE}`));
  expect(conversion.losses).toEqual([]);
  expect(await decisions(`${SERVICES}${textOf(conversion)}`, PATHS)).toEqual(
    await decisions(`${SERVICES}${ROUTE}`, PATHS),
  );
});

test('rules of Istio become routes that decide the same, and subsets become Services', async () => {
  const istio = networking(
    'VirtualService',
    'reviews',
    `hosts: [reviews]
http:
  - match: [{ headers: { end-user: { exact: jason } } }, { uri: { exact: /exact } }]
    timeout: 1500ms
    route: [{ destination: { host: audit } }]
  - match: [{ uri: { prefix: /old/ } }]
    rewrite: { uri: /new/ }
    route: [{ destination: { host: reviews-v2 } }]
  - route: [{ destination: { host: reviews } }]`,
  );
  const conversion = toGatewayApi(viewOf(`${SERVICES}${istio}`));
  // What has a header goes before a path that is longer there.
  expect(conversion.losses).toEqual([
    'VirtualService default/reviews: the order of its rules: in the Gateway API the most specific match goes first, not the first one',
  ]);
  const paths = PATHS.filter((path) => !path.startsWith('/old') || path === '/old/a');
  expect(await decisions(`${SERVICES}${textOf(conversion)}`, paths)).toEqual(
    await decisions(`${SERVICES}${istio}`, paths),
  );
  const subsets = toGatewayApi(
    viewOf(
      `${SERVICES}${networking('DestinationRule', 'reviews', 'host: reviews\nsubsets: [{ name: v3, labels: { version: v3 } }]')}${networking('VirtualService', 'split', 'hosts: [reviews]\nhttp: [{ route: [{ destination: { host: reviews, subset: v3 } }] }]')}`,
    ),
  );
  expect(subsets.documents).toContainEqual({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'reviews-v3', namespace: 'default' },
    spec: { selector: { app: 'reviews', version: 'v3' }, ports: [{ name: 'http', port: 9080 }] },
  });
});

describe('direct responses of Istio', () => {
  const answering = (...directResponses: readonly object[]) => {
    const http = directResponses.map((directResponse, index) => ({
      match: [{ uri: { exact: `/${index}` } }],
      directResponse,
    }));
    const rest = { route: [{ destination: { host: 'reviews' } }] };
    const spec = JSON.stringify({ hosts: ['reviews'], http: [...http, rest] });
    return `${SERVICES}${networking('VirtualService', 'reviews', spec)}`;
  };
  const answers = async (text: string) => {
    const state = { view: viewOf(text), registry: snapshotOf([]), config: DEFAULT_MESH_CONFIG };
    return Promise.all(
      ['/0', '/1', '/2', '/other'].map(async (path) => {
        const url = `http://reviews:9080${path}`;
        const { response, cluster } = await explainIn(state, { method: 'GET', url });
        return response ?? cluster;
      }),
    );
  };

  test('become filters that answer the same, and are the same again in Istio', async () => {
    const istio = answering(
      { status: 403, body: { string: 'Forbidden' } },
      { status: 204 },
      { status: 503, body: { bytes: Buffer.from('später').toString('base64') } },
    );
    const conversion = toGatewayApi(viewOf(istio));
    expect(conversion.losses).toEqual([]);
    const routes = `${SERVICES}${textOf(conversion)}`;
    const expected = await answers(istio);
    expect(expected).toMatchObject([
      { status: 403, body: 'Forbidden' },
      { status: 204 },
      { status: 503, body: 'später' },
      expect.stringContaining('reviews'),
    ]);
    expect(await answers(routes)).toEqual(expected);
    const back = toIstio(viewOf(routes));
    expect(back.losses).toEqual([]);
    expect(await answers(`${SERVICES}${textOf(back)}`)).toEqual(expected);
  });

  test('are lost with a longer body than the Gateway API has', () => {
    const text = answering({ status: 200, body: { string: 'x'.repeat(4097) } });
    const { documents, losses } = toGatewayApi(viewOf(text));
    expect(losses).toEqual([
      'VirtualService default/reviews: answers with a body of more than 4096 characters',
    ]);
    expect(documents[0]?.spec['rules']).toHaveLength(1);
  });
});

test('Gateways go both ways', () => {
  const istio = networking(
    'Gateway',
    'edge',
    `servers:
  - { port: { number: 443, name: https, protocol: HTTPS }, hosts: ["./a.org", b.org], tls: { mode: SIMPLE, credentialName: cert } }
  - { port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"], tls: { httpsRedirect: true } }`,
  );
  const { documents } = toGatewayApi(viewOf(istio));
  expect(documents.map(({ kind }) => kind)).toEqual(['Gateway', 'HTTPRoute']);
  expect(documents[0]?.spec['listeners']).toEqual([
    {
      name: 'https-1',
      port: 443,
      protocol: 'HTTPS',
      hostname: 'a.org',
      tls: { mode: 'Terminate', certificateRefs: [{ name: 'cert' }] },
      allowedRoutes: { namespaces: { from: 'Same' } },
    },
    {
      name: 'https-2',
      port: 443,
      protocol: 'HTTPS',
      hostname: 'b.org',
      tls: { mode: 'Terminate', certificateRefs: [{ name: 'cert' }] },
      allowedRoutes: { namespaces: { from: 'All' } },
    },
    { name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } },
  ]);
  const back = toIstio(
    viewOf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge }
spec: { gatewayClassName: inmesh, listeners: [{ name: http, port: 80, protocol: HTTP, hostname: a.org }] }
`),
  );
  expect(back.documents[0]?.spec).toEqual({
    selector: { 'gateway.networking.k8s.io/gateway-name': 'edge' },
    servers: [
      { name: 'http', port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['default/a.org'] },
    ],
  });
});

test('inmesh convert prints documents, and tells what has no equal', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'convert-')), 'a.yaml');
  writeFileSync(
    file,
    `${SERVICES}${networking('VirtualService', 'reviews', 'hosts: [reviews]\nhttp: [{ fault: { abort: { httpStatus: 500, percentage: { value: 1 } } }, route: [{ destination: { host: reviews } }] }]')}`,
  );
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(['convert', '-f', file, '--to', 'gateway-api'], {
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
    color: false,
  });
  expect(code).toBe(1);
  expect(err.join('')).toBe('VirtualService default/reviews: faults\n');
  expect(out.join('')).toContain('kind: HTTPRoute');
});
