import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { FILTER_EXTENSION } from '../../../../src/codec/filter-extension.js';
import { decodeNode, encodeNode } from '../../../../src/codec/node.js';
import { compileFor } from '../../../../src/control-plane/files/compile-for.js';
import { servedType } from '../../../../src/control-plane/serve/resources.js';
import { core, listener } from '../../../../src/proto/xds.js';
import { complaintsAbout } from '../load.js';
import { compile, networking, nodeOf, service } from './mesh.js';

const HOST = 'a.default.svc.cluster.local';
const CLUSTER = `outbound|80||${HOST}`;
const SERVICE = service('a', 80);

/** An EnvoyFilter of patches in flow style. */
const filter = (patches: readonly string[], { name = 'one', namespace = 'default', more = '' } = {}) => `---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  configPatches:
${patches.map((patch) => `  - ${patch}`).join('\n')}
${more}
`;

const clusterPatch = (operation: string, value: string, match = '') =>
  `{applyTo: CLUSTER, match: {context: SIDECAR_OUTBOUND${match}}, patch: {operation: ${operation}, value: ${value}}}`;

const HCM = 'envoy.filters.network.http_connection_manager';
const FAULT =
  '{name: extra, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 9}}';

const httpPatch = (operation: string, subFilter: string, value = FAULT, context = 'SIDECAR_OUTBOUND') =>
  `{applyTo: HTTP_FILTER, match: {context: ${context}, listener: {filterChain: {filter: {name: ${HCM}${
    subFilter && `, subFilter: {name: ${subFilter}}`
  }}}}}, patch: {operation: ${operation}, value: ${value}}}`;

const filtersOf = (text: string) => {
  const found = compile(SERVICE + text).listeners.get(`${HOST}:80`);
  return found?.kind === 'outbound' ? found.http.filters.map(({ name }) => name) : [];
};

describe('clusters', () => {
  const timeoutOf = (text: string, node = nodeOf()) =>
    compile(SERVICE + text, [], node).clusters.get(CLUSTER)?.connectTimeoutMs;

  test('are merged: durations as a whole, the rest stays', () => {
    const set = compile(SERVICE + filter([clusterPatch('MERGE', '{connect_timeout: 0.5s}')]));
    const cluster = set.clusters.get(CLUSTER);
    expect(cluster?.connectTimeoutMs).toBe(500);
    expect(cluster?.discovery.kind).toBe('eds');
  });

  test('match by service, port, subset and name', () => {
    const text = (match: string) =>
      filter([clusterPatch('MERGE', '{connect_timeout: 1s}', `, cluster: {${match}}`)]);
    expect(timeoutOf(text(`service: ${HOST}, portNumber: 80`))).toBe(1000);
    expect(timeoutOf(text('portNumber: 81'))).toBe(10_000);
    expect(timeoutOf(text('subset: v1'))).toBe(10_000);
    expect(timeoutOf(text(`name: "${CLUSTER}"`))).toBe(1000);
  });

  test('are removed and added', () => {
    const set = compile(
      SERVICE +
        filter([
          '{applyTo: CLUSTER, match: {context: ANY}, patch: {operation: REMOVE}}',
          clusterPatch(
            'ADD',
            '{name: mine, type: EDS, eds_cluster_config: {eds_config: {ads: {}}}, connect_timeout: 2s}',
          ),
        ]),
    );
    expect([...set.clusters.values()].map(({ name, connectTimeoutMs }) => [name, connectTimeoutMs])).toEqual([
      ['mine', 2000],
    ]);
  });

  test('follow priority, then the root namespace, then age', () => {
    const merge = (seconds: number) => [clusterPatch('MERGE', `{connect_timeout: ${seconds}s}`)];
    const root = filter(merge(1), { name: 'r', namespace: 'istio-system' });
    const own = filter(merge(2), { name: 'o' });
    const first = filter(merge(3), { name: 'f', more: '  priority: -5' });
    expect(timeoutOf(own + root)).toBe(2000);
    expect(timeoutOf(own + first + root)).toBe(2000);
    expect(timeoutOf(filter(merge(4), { name: 'l', more: '  priority: 9' }) + own)).toBe(4000);
    expect(timeoutOf(filter(merge(4), { namespace: 'other' }))).toBe(10_000);
  });

  test('of nodes whose version or metadata match, as they say them over the wire', () => {
    const over = (extra: Record<string, unknown>) => {
      const bytes = toBinary(core.NodeSchema, encodeNode({ ...nodeOf(), extra }));
      return decodeNode(fromBinary(core.NodeSchema, bytes));
    };
    const matching = (proxy: string) =>
      filter([
        `{applyTo: CLUSTER, match: {context: ANY, proxy: ${proxy}}, patch: {operation: MERGE, value: {connect_timeout: 1s}}}`,
      ]);
    const version = matching('{proxyVersion: "^1\\\\.2[0-9].*"}');
    expect(timeoutOf(version, over({ ISTIO_VERSION: '1.24.1' }))).toBe(1000);
    expect(timeoutOf(version, over({ ISTIO_VERSION: '1.19.1' }))).toBe(10_000);
    expect(timeoutOf(version, over({}))).toBe(10_000);
    const role = matching('{metadata: {ROLE: edge}}');
    expect(timeoutOf(role, over({ ROLE: 'edge', OTHER: { a: 1 } }))).toBe(1000);
    expect(timeoutOf(role, over({ ROLE: ['edge'] }))).toBe(10_000);
  });

  test('of workloads that are selected', () => {
    const text = filter([clusterPatch('MERGE', '{connect_timeout: 1s}')], {
      more: '  workloadSelector: {labels: {app: web}}',
    });
    expect(timeoutOf(text)).toBe(10_000);
    expect(timeoutOf(text, nodeOf({ LABELS: { app: 'web' } }))).toBe(1000);
  });
});

describe('HTTP filters', () => {
  const ROUTER = 'envoy.filters.http.router';
  const FAULTS = 'envoy.filters.http.fault';

  test.each([
    [httpPatch('INSERT_BEFORE', ROUTER), [FAULTS, 'extra', ROUTER]],
    [httpPatch('INSERT_FIRST', ''), ['extra', FAULTS, ROUTER]],
    [httpPatch('INSERT_AFTER', FAULTS), [FAULTS, 'extra', ROUTER]],
    [httpPatch('REPLACE', FAULTS), ['extra', ROUTER]],
    [httpPatch('REMOVE', FAULTS), [ROUTER]],
    [httpPatch('INSERT_BEFORE', 'nothing'), [FAULTS, ROUTER]],
    [httpPatch('INSERT_BEFORE', ROUTER, FAULT, 'GATEWAY'), [FAULTS, ROUTER]],
  ])('%s', (patch, expected) => {
    expect(filtersOf(filter([patch]))).toEqual(expected);
  });

  test('of served ports, and merged within their type', () => {
    const workload = {
      service: 'web',
      address: '10.0.0.1',
      port: 80,
      portName: '',
      tlsMode: 'istio' as const,
    };
    const node = nodeOf({ INMESH_WORKLOADS: [workload] });
    const text = filter([
      httpPatch('INSERT_FIRST', '', FAULT, 'SIDECAR_INBOUND'),
      httpPatch(
        'MERGE',
        'extra',
        '{typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 7}}',
        'SIDECAR_INBOUND',
      ),
    ]);
    const found = compile(SERVICE + text, [], node).listenerOf('xds.istio.io/grpc/lds/inbound/10.0.0.1:80');
    const configs =
      found?.kind === 'inbound'
        ? found.filterChains.map((chain) => ('http' in chain ? chain.http?.filters[0] : undefined))
        : [];
    expect(configs.map((one) => one?.config)).toEqual(
      Array(2).fill(expect.objectContaining({ kind: 'buffer', maxRequestBytes: 7 })),
    );
  });

  test('that members can not carry out leave the listener as it was, and are told', () => {
    const lua =
      '{name: lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, inline_code: x}}';
    const text = SERVICE + filter([httpPatch('INSERT_FIRST', '', lua)]);
    const compiled = (profile: 'sdk' | 'envoy') => {
      const result = compileFor({ files: [{ file: 'a.yaml', content: text }] }, { profile });
      if (!result.accepted) throw new Error(JSON.stringify(result.violations));
      return result;
    };
    expect(compiled('sdk').losses).toEqual([expect.stringContaining('EnvoyFilters do not change LDS')]);
    expect(JSON.stringify(compiled('sdk').resources)).not.toContain('inline_code');
    expect(compiled('envoy').losses).toEqual([]);
    expect(JSON.stringify(compiled('envoy').resources)).toContain('inline_code');
  });
});

describe('routes', () => {
  const routePatch = (applyTo: string, patch: string, match = '') =>
    `{applyTo: ${applyTo}, match: {routeConfiguration: {${match}}}, patch: ${patch}}`;
  const hosts = (...patches: string[]) => {
    const vs = networking(
      'VirtualService',
      'a',
      'hosts: [a]\nhttp: [{name: x, match: [{uri: {prefix: /x}}], redirect: {uri: /y}}, {name: y, route: [{destination: {host: a}}]}]',
    );
    return compile(SERVICE + vs + filter(patches)).routes.get(CLUSTER)?.virtualHosts ?? [];
  };
  const names = (...patches: string[]) => hosts(...patches)[0]?.routes.map(({ name }) => name);
  const NEW = '{name: new, match: {prefix: /new}, direct_response: {status: 204}}';

  test('are put in, removed and merged by name, kind of action and host', () => {
    const at = (route: string) => `portNumber: 80, vhost: {name: "${HOST}:80", route: {${route}}}`;
    expect(names(routePatch('HTTP_ROUTE', `{operation: ADD, value: ${NEW}}`, 'portNumber: 81'))).toEqual([
      'x',
      'y',
    ]);
    expect(names(routePatch('HTTP_ROUTE', `{operation: INSERT_FIRST, value: ${NEW}}`))).toEqual([
      'new',
      'x',
      'y',
    ]);
    expect(
      names(routePatch('HTTP_ROUTE', `{operation: INSERT_AFTER, value: ${NEW}}`, at('name: x'))),
    ).toEqual(['x', 'new', 'y']);
    expect(names(routePatch('HTTP_ROUTE', '{operation: REMOVE}', at('action: REDIRECT')))).toEqual(['y']);
    expect(
      names(routePatch('HTTP_ROUTE', '{operation: MERGE, value: {name: z}}', at('action: ROUTE'))),
    ).toEqual(['x', 'z']);
  });

  test('virtual hosts are merged, added and replaced', () => {
    expect(
      hosts(routePatch('VIRTUAL_HOST', '{operation: MERGE, value: {domains: [extra]}}', 'name: "80"'))[0]
        ?.domains,
    ).toContain('extra');
    expect(
      hosts(
        routePatch('VIRTUAL_HOST', '{operation: ADD, value: {name: b, domains: [b]}}'),
        routePatch(
          'VIRTUAL_HOST',
          `{operation: REPLACE, value: {name: c, domains: [c]}}`,
          `vhost: {name: "${HOST}:80"}`,
        ),
      ).map(({ name }) => name),
    ).toEqual(['c', 'b']);
  });
});

test('listeners of Envoys: chains, network filters, and what is added', () => {
  const text =
    SERVICE +
    filter([
      '{applyTo: NETWORK_FILTER, match: {context: SIDECAR_OUTBOUND, listener: {portNumber: 15001}}, patch: {operation: INSERT_FIRST, value: {name: first}}}',
      '{applyTo: LISTENER_FILTER, match: {context: SIDECAR_OUTBOUND}, patch: {operation: ADD, value: {name: look}}}',
      '{applyTo: LISTENER, match: {context: ANY}, patch: {operation: ADD, value: {name: mine, address: {socket_address: {address: 127.0.0.1, port_value: 7}}}}}',
      '{applyTo: FILTER_CHAIN, match: {context: SIDECAR_OUTBOUND}, patch: {operation: MERGE, value: {name: renamed}}}',
    ]);
  const { wireListeners } = compile(text, [], nodeOf({ GENERATOR: 'envoy' }));
  const found = ['127.0.0.1_15001', 'mine'].flatMap((name) => {
    const wire = wireListeners.get(name);
    return wire === undefined ? [] : fromBinary(listener.ListenerSchema, wire.bytes);
  });
  expect(
    found.map(({ name, filterChains, listenerFilters }) => [
      name,
      filterChains[0]?.name,
      filterChains[0]?.filters.map((one) => one.name),
      listenerFilters.map((one) => one.name),
    ]),
  ).toEqual([
    ['127.0.0.1_15001', 'renamed', ['first', HCM], ['look']],
    ['mine', undefined, undefined, []],
  ]);
});

test('configurations of filters are brought by name, to members those that they carry out', () => {
  const text = filter([
    `{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: ${FAULT}}}`,
    `{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: ${FAULT.replace('9}', '5}')}}}`,
    '{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: {name: lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, default_source_code: {inline_string: x}}}}}',
    httpPatch(
      'INSERT_FIRST',
      '',
      '{name: extra, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer]}}',
    ),
  ]);
  expect(complaintsAbout(text)).toEqual([]);
  const ours = compile(SERVICE + text);
  const ECDS = servedType(FILTER_EXTENSION.typeUrl);
  expect([...(ECDS?.resources(ours).keys() ?? [])]).toEqual(['extra']);
  const bytes = ours.extensions?.get('extra')?.bytes ?? new Uint8Array();
  expect(FILTER_EXTENSION.decode(bytes).resource.config).toMatchObject({
    kind: 'buffer',
    maxRequestBytes: 9,
  });
  expect(filtersOf(text)[0]).toBe('extra');
  const theirs = compile(SERVICE + text, [], nodeOf({ GENERATOR: 'envoy' }));
  expect([...(theirs.extensions?.keys() ?? [])]).toEqual(['extra', 'lua']);
});

test('patches that can not be read are refused', () => {
  expect(
    complaintsAbout(
      filter([
        clusterPatch('MERGE', '{connect_timeout: soon}'),
        '{applyTo: BOOTSTRAP, patch: {operation: REPLACE, value: {}}}',
        '{applyTo: EXTENSION_CONFIG, patch: {operation: REMOVE}}',
        '{applyTo: CLUSTER, match: {context: WAYPOINT, waypoint: {}}, patch: {operation: REMOVE}}',
        '{applyTo: HTTP_FILTER, patch: {operation: ADD, value: {name: x, typed_config: {"@type": type.googleapis.com/no.Such}}}}',
      ]),
    ).map((line) => line.replace(/^\S+ error INMESH_CONFIG_UNSUPPORTED /, '').slice(0, 50)),
  ).toEqual([
    "the value can't be read as envoy.config.cluster.v3",
    'BOOTSTRAP knows the operation MERGE only',
    'EXTENSION_CONFIG knows the operation ADD only',
    'there are no waypoints: every workload is its own',
    "the value can't be read as envoy.extensions.filter",
  ]);
});
