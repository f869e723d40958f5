import { describe, expect, test } from 'vitest';
import { ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { decoded, refusal } from './wire.js';

const PLUGIN = { extension: { name: 'p' }, isOptional: true };
const table = (virtualHost: object, more: object = {}) =>
  JSON.parse(
    JSON.stringify({ name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], ...virtualHost }], ...more }),
  );
const routes = (virtualHost: object, more: object = {}) =>
  decoded(ROUTE_CONFIGURATION, table(virtualHost, more)).virtualHosts[0]?.routes.map(({ name }) => name);
const match = { prefix: '/' };

describe('routes with a cluster specifier that is not there', () => {
  test('are left out when it is optional', () => {
    const list = [
      { name: 'inline', match, route: { inlineClusterSpecifierPlugin: PLUGIN } },
      { name: 'named', match, route: { clusterSpecifierPlugin: 'p' } },
      { name: 'other', match, route: { cluster: 'c' } },
    ];
    expect(routes({ routes: list }, { clusterSpecifierPlugins: [PLUGIN] })).toEqual(['other']);
  });

  test('refuse the table when it is not', () => {
    const plugins = { clusterSpecifierPlugins: [{ ...PLUGIN, isOptional: false }] };
    expect(refusal(ROUTE_CONFIGURATION, table({ routes: [] }, plugins))).toContain(
      'cluster_specifier_plugins[0]: the plug-in "" is not supported',
    );
  });
});

describe('a match tree', () => {
  const input = (type: string, fields: object) => ({
    name: 'i',
    typedConfig: { '@type': `type.googleapis.com/${type}`, ...fields },
  });
  const header = input('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { headerName: ':path' });
  const action = input('envoy.config.route.v3.Route', { name: 'one', match, route: { cluster: 'c' } });
  const list = input('envoy.config.route.v3.RouteList', {
    routes: [{ name: 'two', match, nonForwardingAction: {} }],
  });

  test('leads to a route or a list of routes', () => {
    const matcher = {
      matcherTree: { input: header, exactMatchMap: { map: { '/a': { action } } } },
      onNoMatch: { action: list },
    };
    const [host] = decoded(ROUTE_CONFIGURATION, table({ matcher })).virtualHosts;
    expect(host?.matcher).toMatchObject({
      node: { kind: 'exact-map', input: { kind: 'request-header', name: ':path' } },
      otherwise: { kind: 'action', action: [{ name: 'two' }], keepMatching: false },
    });
    const { node } = host?.matcher ?? {};
    expect(node?.kind === 'exact-map' && node.entries.get('/a')).toMatchObject({ action: [{ name: 'one' }] });
  });

  test.each([
    [
      { routes: [{ match, route: { cluster: 'c' } }], matcher: {} },
      ': may have only one of routes and matcher',
    ],
    [
      { matcher: { onNoMatch: { action: input('google.protobuf.Empty', {}) } } },
      '.matcher.on_no_match.action: the action "type.googleapis.com/google.protobuf.Empty" is not supported',
    ],
    [{ matcher: { onNoMatch: {} } }, '.matcher.on_no_match: needs an action or a matcher'],
    [{ matcher: { matcherList: {} } }, '.matcher.matcher_list.matchers: must not be empty'],
    [
      {
        matcher: {
          matcherTree: {
            input: input('envoy.type.matcher.v3.HttpRequestQueryParamMatchInput', { queryParam: 'a' }),
            exactMatchMap: { map: { a: { action } } },
          },
        },
      },
      '.matcher.matcher_tree.input: the input',
    ],
    [
      { matcher: { matcherTree: { input: header, customMatch: header } } },
      '.matcher.matcher_tree.custom_match: is not supported',
    ],
  ])('%o is refused', (host, message) => {
    expect(refusal(ROUTE_CONFIGURATION, table(host))).toContain(`virtual_hosts[0]${message}`);
  });
});
