import { describe, expect, test } from 'vitest';
import { explainIn } from '../../../../src/control-plane/explain/explain-in.js';
import { type GatewayApiStatus, statusOf } from '../../../../src/control-plane/gateway-api/status.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { snapshotOf } from '../../../../src/control-plane/registry/snapshot.js';
import { formatViolation } from '../../../../src/control-plane/schema/format.js';
import { createConfigStore } from '../../../../src/control-plane/store/config-store.js';
import { systemClock } from '../../../../src/runtime/clock.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { compile, routesOf, service, viewOf } from '../compile/mesh.js';

// Rules of the Gateway API, one test each.

const SERVICES = ['a', 'b', 'c'].map((name) => service(name, 80)).join('');

interface Object {
  readonly kind: string;
  readonly name: string;
  readonly spec: object;
  readonly namespace?: string;
  readonly version?: string;
  readonly generation?: number;
}

function object({ kind, name, spec, namespace = 'default', version = 'v1', generation }: Object): string {
  const apiVersion = `gateway.networking.k8s.io/${version}`;
  return `---\n${JSON.stringify({ apiVersion, kind, metadata: { name, namespace, generation }, spec })}\n`;
}

const to = (name: string) => [{ backendRefs: [{ name, port: 80 }] }];

function gateway(listeners: readonly object[], more: object = {}): string {
  return object({ kind: 'Gateway', name: 'edge', spec: { gatewayClassName: 'inmesh', listeners, ...more } });
}

function route(name: string, spec: object, kind = 'HTTPRoute'): string {
  return object({ kind, name, spec: { parentRefs: [{ name: 'edge' }], ...spec } });
}

const HTTP = { name: 'http', port: 80, protocol: 'HTTP' };

async function answer(text: string, url: string): Promise<string | number> {
  const state = { view: viewOf(`${SERVICES}${text}`), registry: snapshotOf([]), config: DEFAULT_MESH_CONFIG };
  const { response, cluster, outcome } = await explainIn(state, {
    method: 'GET',
    url,
    gateway: 'default/edge',
  });
  if (outcome === 'refused') return 404;
  return response?.status ?? cluster?.split('|')[3]?.split('.')[0] ?? '';
}

function statusIn(text: string, kind: string, name: string): GatewayApiStatus['status'] {
  const found = statusOf(viewOf(text)).find((one) => one.kind === kind && one.name === name);
  if (found === undefined) throw new Error(`no status of ${kind} ${name}`);
  return found.status;
}

function conditionsIn(text: string, kind: string, name: string): readonly string[] {
  const { conditions = [], parents = [] } = statusIn(text, kind, name);
  return [conditions, ...parents.map((one) => one.conditions)]
    .flat()
    .map((one) => `${one.type}=${one.status}/${one.reason}`);
}

function complaints(text: string): string {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger });
  const { violations } = store.propose('test', { files: [{ file: 'a.yaml', content: text }] });
  return violations
    .filter(({ severity }) => severity !== 'warning')
    .map(formatViolation)
    .join('\n');
}

describe('which route takes a request', () => {
  const under = (path: string, name: string) => ({ matches: [{ path: { value: path } }], ...to(name)[0] });

  test('what no rule of the more specific host name matches is for the less specific one', async () => {
    const text = `${gateway([HTTP])}${route('any', { rules: to('a') })}${route('exact', {
      hostnames: ['x.example.com'],
      rules: [under('/own', 'b')],
    })}${route('wild', { hostnames: ['*.example.com'], rules: [under('/w', 'c'), under('/own/deep', 'c')] })}`;
    expect(await answer(text, 'http://x.example.com/own/deep')).toBe('b');
    expect(await answer(text, 'http://x.example.com/w')).toBe('c');
    expect(await answer(text, 'http://x.example.com/other')).toBe('a');
    expect(await answer(text, 'http://y.example.com/own')).toBe('a');
  });

  test('a rule for everything of the more specific host name hides all of the less specific one', async () => {
    const text = `${gateway([HTTP])}${route('any', { rules: [under('/deep/path', 'a')] })}${route('exact', {
      hostnames: ['x.example.com'],
      rules: to('b'),
    })}`;
    expect(await answer(text, 'http://x.example.com/deep/path')).toBe('b');
    expect(await answer(text, 'http://y.example.com/deep/path')).toBe('a');
  });

  test('what routes name counts, not what they have in common with the listener', async () => {
    const listener = { ...HTTP, hostname: 'x.example.com' };
    const text = `${gateway([listener])}${route('any', { rules: [under('/deep/path', 'a')] })}${route(
      'wild',
      {
        hostnames: ['*.example.com'],
        rules: [under('/deep', 'b')],
      },
    )}${route('exact', { hostnames: ['x.example.com'], rules: [under('/deep/path/of', 'c')] })}`;
    expect(await answer(text, 'http://x.example.com/deep/path/of')).toBe('c');
    expect(await answer(text, 'http://x.example.com/deep/path')).toBe('b');
    expect(await answer(text, 'http://x.example.com/')).toBe(404);
  });

  test('a prefix goes before a regular expression, what takes everything behind it', async () => {
    const regex = { matches: [{ path: { type: 'RegularExpression', value: '/a.*' } }], ...to('b')[0] };
    const text = `${gateway([HTTP])}${route('r', { rules: [...to('a'), regex, under('/ab', 'c')] })}`;
    expect(await answer(text, 'http://x.org/ab')).toBe('c');
    expect(await answer(text, 'http://x.org/abc')).toBe('b');
    expect(await answer(text, 'http://x.org/x')).toBe('a');
  });

  test('names of query parameters that differ in case are two parameters', () => {
    const queryParams = [
      { name: 'Page', value: '1' },
      { name: 'page', value: '2' },
    ];
    const parentRefs = [{ group: '', kind: 'Service', name: 'a' }];
    const spec = { parentRefs, rules: [{ matches: [{ queryParams }], ...to('b')[0] }] };
    const set = compile(`${SERVICES}${object({ kind: 'HTTPRoute', name: 'r', spec })}`);
    const [first] = routesOf(set, 'a.default.svc.cluster.local', 80);
    expect(first?.match.queryParameters.map(({ name }) => name)).toEqual(['Page', 'page']);
  });
});

describe('clients in the mesh', () => {
  test("a route of the client's namespace leads into others without a ReferenceGrant; one at a gateway does not", async () => {
    const far = (parentRefs: readonly object[]) =>
      object({
        kind: 'HTTPRoute',
        name: 'r',
        namespace: 'far',
        spec: { parentRefs, rules: [{ backendRefs: [{ name: 'b', namespace: 'default', port: 80 }] }] },
      });
    const inMesh = far([{ group: '', kind: 'Service', name: 'a', namespace: 'default' }]);
    expect(conditionsIn(`${SERVICES}${inMesh}`, 'HTTPRoute', 'r')).toEqual([
      'Accepted=True/Accepted',
      'ResolvedRefs=True/ResolvedRefs',
    ]);
    expect(complaints(`${SERVICES}${inMesh}`)).toBe('');
    const state = {
      view: viewOf(`${SERVICES}${inMesh}`),
      registry: snapshotOf([]),
      config: DEFAULT_MESH_CONFIG,
    };
    const { cluster } = await explainIn(state, { method: 'GET', url: 'http://a.default/', from: 'far/' });
    expect(cluster).toBe('outbound|80||b.default.svc.cluster.local');
    const open = { ...HTTP, allowedRoutes: { namespaces: { from: 'All' } } };
    const atGateway = `${gateway([open])}${far([{ name: 'edge', namespace: 'default' }])}`;
    expect(conditionsIn(`${SERVICES}${atGateway}`, 'HTTPRoute', 'r')).toContain(
      'ResolvedRefs=False/RefNotPermitted',
    );
    expect(await answer(atGateway, 'http://x.org/')).toBe(500);
  });

  test('a request is tried again on its codes and where it has not come to a server', () => {
    const parentRefs = [{ group: '', kind: 'Service', name: 'a' }];
    const spec = { parentRefs, rules: [{ ...to('b')[0], retry: { codes: [503] } }] };
    const [first] = routesOf(
      compile(`${SERVICES}${object({ kind: 'HTTPRoute', name: 'r', spec })}`),
      'a.default.svc.cluster.local',
      80,
    );
    expect(first?.action).toMatchObject({
      retryPolicy: {
        retryOn: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
        numRetries: 2,
        retriableStatusCodes: [503],
      },
    });
  });
});

test('an explanation names the route of the Gateway API that a request follows', async () => {
  const parentRefs = [{ group: '', kind: 'Service', name: 'a' }];
  const make = (name: string, path: string) =>
    object({
      kind: 'HTTPRoute',
      name,
      spec: { parentRefs, rules: [{ matches: [{ path: { value: path } }], ...to('b')[0] }] },
    });
  const text = `${SERVICES}${make('one', '/')}${make('two', '/two')}`;
  const state = { view: viewOf(text), registry: snapshotOf([]), config: DEFAULT_MESH_CONFIG };
  const documents = async (path: string) =>
    (await explainIn(state, { method: 'GET', url: `http://a${path}` })).documents.map(
      ({ kind, name }) => `${kind} ${name}`,
    );
  expect(await documents('/')).toEqual(['HTTPRoute one']);
  expect(await documents('/two')).toEqual(['HTTPRoute two']);
});

describe('status', () => {
  test('names of protocols mean the same in small letters', async () => {
    const text = `${gateway([{ ...HTTP, protocol: 'http' }])}${route('r', { rules: to('a') })}`;
    expect(await answer(text, 'http://x.org/')).toBe('a');
    expect(statusIn(text, 'Gateway', 'edge').listeners?.[0]?.attachedRoutes).toBe(1);
  });

  test('a route of which nothing is carried out counts nowhere', () => {
    const filters = [{ type: 'ExtensionRef', extensionRef: { group: 'a.b', kind: 'C', name: 'd' } }];
    const text = `${SERVICES}${gateway([HTTP])}${route('r', { rules: [{ filters, ...to('a')[0] }] })}`;
    expect(conditionsIn(text, 'HTTPRoute', 'r')).toContain('Accepted=False/UnsupportedValue');
    expect(statusIn(text, 'Gateway', 'edge').listeners?.[0]?.attachedRoutes).toBe(0);
  });

  test('conditions tell the generation that they are about', () => {
    const text = object({
      kind: 'HTTPRoute',
      name: 'r',
      generation: 7,
      spec: { parentRefs: [{ group: '', kind: 'Service', name: 'a' }], rules: to('a') },
    });
    const [parent] = statusIn(`${SERVICES}${text}`, 'HTTPRoute', 'r').parents ?? [];
    expect(parent?.conditions.map(({ observedGeneration }) => observedGeneration)).toEqual([7, 7]);
  });

  test('a Gateway that is not accepted serves nothing, and its ListenerSets are not attached', async () => {
    const set = object({
      kind: 'ListenerSet',
      name: 'more',
      spec: { parentRef: { name: 'edge' }, listeners: [{ ...HTTP, port: 81 }] },
    });
    const allowedListeners = { namespaces: { from: 'Same' } };
    const addresses = [{ type: 'NamedAddress', value: 'x' }];
    const text = `${gateway([HTTP], { allowedListeners, addresses })}${set}${route('r', { rules: to('a') })}`;
    expect(conditionsIn(text, 'Gateway', 'edge')[0]).toBe('Accepted=False/UnsupportedAddress');
    expect(conditionsIn(text, 'ListenerSet', 'more')).toEqual([
      'Accepted=False/ParentNotAccepted',
      'Programmed=False/ParentNotProgrammed',
    ]);
    expect(await answer(text, 'http://x.org/')).toBe(404);
  });

  test('that clients need no good certificate is told', () => {
    const validation = {
      mode: 'AllowInsecureFallback',
      caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'roots' }],
    };
    const text = gateway([HTTP], { tls: { frontend: { default: { validation } } } });
    expect(conditionsIn(text, 'Gateway', 'edge')).toContain(
      'InsecureFrontendValidationMode=True/ConfigurationChanged',
    );
    expect(conditionsIn(gateway([HTTP]), 'Gateway', 'edge').join()).not.toContain('Insecure');
  });
});

describe('a port of a Service that routes cannot lead to', () => {
  const dns = (...protocols: readonly string[]) => {
    const ports = protocols.map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: 53 }));
    return `---\n${JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'dns', namespace: 'default' },
      spec: { selector: { app: 'dns' }, ports },
    })}\n`;
  };
  const listeners = gateway([HTTP, { name: 'tcp', port: 53, protocol: 'TCP' }]);
  const rules = [{ backendRefs: [{ name: 'dns', port: 53 }] }];

  test.each([
    ['HTTPRoute', 'UDP'],
    ['GRPCRoute', 'SCTP'],
    ['TCPRoute', 'UDP'],
  ])('is told of a %s to a port of %s', (kind, protocol) => {
    const version = kind === 'TCPRoute' ? 'v1alpha2' : 'v1';
    const one = object({ kind, name: 'r', version, spec: { parentRefs: [{ name: 'edge' }], rules } });
    expect(conditionsIn(`${dns(protocol)}${listeners}${one}`, kind, 'r')).toEqual([
      'Accepted=True/Accepted',
      'ResolvedRefs=False/UnsupportedProtocol',
    ]);
    expect(conditionsIn(`${dns(protocol, 'TCP')}${listeners}${one}`, kind, 'r')).toContain(
      'ResolvedRefs=True/ResolvedRefs',
    );
    expect(conditionsIn(`${listeners}${one}`, kind, 'r')).toContain('ResolvedRefs=False/BackendNotFound');
  });

  test('takes its share of requests as 500', async () => {
    expect(await answer(`${dns('UDP')}${listeners}${route('r', { rules })}`, 'http://x.org/')).toBe(500);
  });
});

describe('what the published CRDs refuse', () => {
  const tls = (version: string, spec: object) =>
    complaints(object({ kind: 'TLSRoute', name: 't', version, spec: { rules: to('a'), ...spec } }));

  test('a TLSRoute without host names, and several rules, but in the oldest version', () => {
    expect(tls('v1', {})).toMatch(/hostnames must name a host/);
    expect(tls('v1', { hostnames: ['a.org'], rules: [...to('a'), ...to('b')] })).toMatch(
      /a TLSRoute has one rule/,
    );
    expect(tls('v1alpha2', { rules: [...to('a'), ...to('b')] })).toBe('');
  });

  test('values of headers that no line of HTTP can have', () => {
    const value = (text: string) =>
      complaints(
        `${SERVICES}${gateway([HTTP])}${route('r', {
          rules: [{ matches: [{ headers: [{ name: 'x', value: text }] }], ...to('a')[0] }],
        })}`,
      );
    expect(value('one two')).toBe('');
    expect(value('one\r\ntwo: three')).toMatch(/text of ASCII/);
    expect(value(`${'a'.repeat(4000)}\n`)).toMatch(/text of ASCII/);
  });
});
