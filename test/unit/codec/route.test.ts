import { describe, expect, test } from 'vitest';
import { ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import type { Route } from '../../../src/model/route.js';
import { decoded, refusal, tableWithRoute, wire } from './wire.js';

const FAULT = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
const FILTER_CONFIG = 'type.googleapis.com/envoy.config.route.v3.FilterConfig';
const UNKNOWN = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck' };

const extension = (type: string, fields: object) => ({
  name: 'x',
  typedConfig: { '@type': `type.googleapis.com/envoy.extensions.path.${type}`, ...fields },
});
const MATCH = (pathTemplate: string) =>
  extension('match.uri_template.v3.UriTemplateMatchConfig', { pathTemplate });
const REWRITE = (pathTemplateRewrite: string) =>
  extension('rewrite.uri_template.v3.UriTemplateRewriteConfig', { pathTemplateRewrite });

function routeOf(fields: Parameters<typeof tableWithRoute>[0]): Route {
  const route = decoded(ROUTE_CONFIGURATION, tableWithRoute(fields)).virtualHosts[0]?.routes[0];
  if (route === undefined) throw new Error('no route');
  return route;
}

describe('defaults', () => {
  test('a forwarding route without a timeout has one of 15 s', () => {
    expect(routeOf({}).action).toEqual({
      kind: 'forward',
      cluster: { kind: 'cluster', name: 'c' },
      timeoutMs: 15_000,
      timeoutIsDefault: true,
      retryPolicy: undefined,
      maxStreamDurationMs: undefined,
      priority: 'default',
    });
  });

  test('a timeout of 0 stays 0', () => {
    expect(routeOf({ route: { cluster: 'c', timeout: '0s' } }).action).toMatchObject({ timeoutMs: 0 });
  });

  test('an empty retry policy has the defaults of Envoy', () => {
    expect(routeOf({ route: { cluster: 'c', retryPolicy: {} } }).action).toMatchObject({
      retryPolicy: {
        retryOn: [],
        numRetries: 1,
        perTryTimeoutMs: undefined,
        retriableStatusCodes: [],
        baseIntervalMs: 25,
        maxIntervalMs: 250,
        avoidPreviousHosts: false,
        hostSelectionAttempts: 1,
      },
    });
  });

  test('the longest back-off is ten times the shortest, and that is at least 1 ms', () => {
    const retryPolicy = { retryBackOff: { baseInterval: '0.0001s' } };
    expect(routeOf({ route: { cluster: 'c', retryPolicy } }).action).toMatchObject({
      retryPolicy: { baseIntervalMs: 1, maxIntervalMs: 10 },
    });
  });

  test('retry conditions are trimmed, and unknown ones are ignored', () => {
    const retryPolicy = { retryOn: ' 5xx , no-such-thing,unavailable,5xx' };
    expect(routeOf({ route: { cluster: 'c', retryPolicy } }).action).toMatchObject({
      retryPolicy: { retryOn: ['5xx', 'unavailable'] },
    });
  });

  test('a header matcher without a specifier asks for presence, and its name becomes lower case', () => {
    const match = { prefix: '/', headers: [{ name: 'X-User' }], queryParameters: [{ name: 'q' }] };
    expect(routeOf({ match }).match).toMatchObject({
      headers: [{ name: 'x-user', match: { kind: 'present', present: true } }],
      queryParameters: [{ name: 'q', match: { kind: 'present', present: true } }],
    });
  });

  test.each([
    ['exactMatch', { kind: 'exact', value: 'a', ignoreCase: false }],
    ['prefixMatch', { kind: 'prefix', value: 'a', ignoreCase: false }],
    ['suffixMatch', { kind: 'suffix', value: 'a', ignoreCase: false }],
    ['containsMatch', { kind: 'contains', value: 'a', ignoreCase: false }],
  ])('the deprecated %s decodes as a string matcher', (field, matcher) => {
    const match = { prefix: '/', headers: [{ name: 'x', [field]: 'a' }] };
    expect(routeOf({ match }).match.headers[0]?.match).toEqual({ kind: 'string', matcher });
  });

  test('domains become lower case', () => {
    const json = { name: 'r', virtualHosts: [{ name: 'v', domains: ['Reviews.Default', '*.FOO'] }] };
    expect(decoded(ROUTE_CONFIGURATION, json).virtualHosts[0]?.domains).toEqual(['reviews.default', '*.foo']);
  });

  test('an absent percentage of a fault is 0', () => {
    const fault = { '@type': FAULT, delay: { fixedDelay: '1s' } };
    const overrides = routeOf({ typedPerFilterConfig: { f: fault } }).filterOverrides;
    expect(overrides.get('f')).toMatchObject({ delay: { percentage: { numerator: 0, denominator: 100 } } });
  });
});

describe('per-route filter configuration', () => {
  test('is taken out of the wrapper FilterConfig', () => {
    const typedPerFilterConfig = {
      f: { '@type': FILTER_CONFIG, config: { '@type': FAULT, upstreamCluster: 'x' } },
    };
    expect(routeOf({ typedPerFilterConfig }).filterOverrides.get('f')).toMatchObject({
      upstreamCluster: 'x',
    });
  });

  test('is dropped when it is of an unknown filter and optional', () => {
    const typedPerFilterConfig = { f: { '@type': FILTER_CONFIG, config: UNKNOWN, isOptional: true } };
    expect(routeOf({ typedPerFilterConfig }).filterOverrides.size).toBe(0);
  });

  test('may be JSON within a TypedStruct', () => {
    const typedPerFilterConfig = {
      f: {
        '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
        typeUrl: FAULT,
        value: { abort: { httpStatus: 503, percentage: { numerator: 100 } } },
      },
    };
    expect(routeOf({ typedPerFilterConfig }).filterOverrides.get('f')).toMatchObject({
      abort: { status: { kind: 'http', code: 503 } },
    });
  });

  test.each([
    ['unknown', UNKNOWN, 'HealthCheck" is not supported'],
    ['wrapped unknown', { '@type': FILTER_CONFIG, config: UNKNOWN }, '.config: the filter'],
    ['empty', { '@type': FILTER_CONFIG }, '.config: is required'],
    [
      'of the router',
      { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      'the router has no per-route configuration',
    ],
    [
      'unknown JSON',
      { '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', typeUrl: 'x.y/z.Filter', value: {} },
      '"z.Filter" is not supported',
    ],
    [
      'malformed JSON',
      { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', typeUrl: FAULT, value: { abort: 7 } },
      'is no valid envoy.extensions.filters.http.fault.v3.HTTPFault',
    ],
  ])('is refused when it is %s', (_what, config, message) => {
    const error = refusal(ROUTE_CONFIGURATION, tableWithRoute({ typedPerFilterConfig: { f: config } }));
    expect(error).toContain('virtual_hosts[0].routes[0].typed_per_filter_config["f"]');
    expect(error).toContain(message);
  });
});

const ROUTE = 'virtual_hosts[0].routes[0]';

describe('a route is refused, and the message has the path, for', () => {
  test.each([
    [
      'an unsupported field',
      { route: { cluster: 'c', earlyDataPolicy: { name: 'e' } } },
      '.route.early_data_policy: is not supported',
    ],
    [
      'a redirect to a port beyond 65535',
      { route: undefined, redirect: { portRedirect: 70_000 } },
      '.redirect.port_redirect: must be at most 65535',
    ],
    [
      'a redirect with a line break',
      { route: undefined, redirect: { prefixRewrite: '/a\nb' } },
      '.redirect.prefix_rewrite: contains a control character',
    ],
    [
      'a change of the host header',
      { requestHeadersToAdd: [{ header: { key: 'Host', value: 'x' } }] },
      '.request_headers_to_add[0].header.key: :-prefixed headers and Host may not be changed here',
    ],
    [
      'an unknown operator in a header',
      { responseHeadersToAdd: [{ header: { key: 'x-a', value: '%NOPE%' } }] },
      '.response_headers_to_add[0].header.value: INMESH_CONFIG_INVALID: the format "%NOPE%" has the unknown operator',
    ],
    [
      'two path rewrites',
      { route: { cluster: 'c', prefixRewrite: '/', regexRewrite: { pattern: { regex: 'a' } } } },
      '.route: may have only one of prefix_rewrite, regex_rewrite and path_rewrite_policy',
    ],
    [
      'a substitution by a group that is not there',
      { route: { cluster: 'c', regexRewrite: { pattern: { regex: '(a)' }, substitution: '\\2' } } },
      '.route.regex_rewrite.substitution: names group 2, which the pattern does not have',
    ],
    [
      'a mirror without cluster',
      { route: { cluster: 'c', requestMirrorPolicies: [{}] } },
      '.route.request_mirror_policies[0]: needs one of cluster and cluster_header',
    ],
    [
      'a direct response that is too long',
      { route: undefined, directResponse: { status: 200, body: { inlineString: 'x'.repeat(4097) } } },
      '.direct_response.body: is longer than 4096 bytes',
    ],
    ['no action', { route: undefined }, ': needs an action'],
    ['no match', { match: undefined }, '.match: is required'],
    ['no path specifier', { match: {} }, '.match: needs a path specifier'],
    ['an empty cluster name', { route: { cluster: '' } }, '.route.cluster: must not be empty'],
    ['no cluster', { route: {} }, '.route: needs a cluster, a cluster_header or weighted_clusters'],
    [
      'a negative timeout',
      { route: { cluster: 'c', timeout: '-1s' } },
      '.route.timeout: must not be negative',
    ],
    [
      'a separated prefix with a slash at its end',
      { match: { pathSeparatedPrefix: '/a/' } },
      '.match.path_separated_prefix: must not end in "/"',
    ],
    [
      'a regex that is not RE2',
      { match: { safeRegex: { regex: '(?=a)b' } } },
      '.match.safe_regex.regex: is no valid RE2',
    ],
    ['an empty regex', { match: { safeRegex: {} } }, '.match.safe_regex.regex: must not be empty'],
    [
      'ignore_case on a regex',
      {
        match: {
          prefix: '/',
          headers: [{ name: 'x', stringMatch: { safeRegex: { regex: 'a' }, ignoreCase: true } }],
        },
      },
      '.match.headers[0].string_match.ignore_case: has no effect on safe_regex',
    ],
    [
      'an empty prefix of a header',
      { match: { prefix: '/', headers: [{ name: 'x', stringMatch: { prefix: '' } }] } },
      '.match.headers[0].string_match.prefix: must not be empty',
    ],
    [
      'a header without a name',
      { match: { prefix: '/', headers: [{}] } },
      '.match.headers[0].name: must not be empty',
    ],
    [
      'a query parameter without a name',
      { match: { prefix: '/', queryParameters: [{}] } },
      '.match.query_parameters[0].name: must not be empty',
    ],
    [
      'a runtime fraction without a value',
      { match: { prefix: '/', runtimeFraction: { runtimeKey: 'k' } } },
      '.match.runtime_fraction.default_value: is required',
    ],
    [
      'an unknown denominator',
      { match: { prefix: '/', runtimeFraction: { defaultValue: { denominator: 9 } } } },
      '.match.runtime_fraction.default_value.denominator: has no value 9',
    ],
    ['an unknown priority', { route: { cluster: 'c', priority: 9 } }, '.route.priority: has no value 9'],
    [
      'weights that add up to nothing',
      { route: { weightedClusters: { clusters: [{ name: 'a', weight: 0 }] } } },
      '.route.weighted_clusters.clusters: the sum of the weights must be at least 1',
    ],
    [
      'weights that add up to 2^32',
      {
        route: {
          weightedClusters: {
            clusters: [
              { name: 'a', weight: 4294967295 },
              { name: 'b', weight: 1 },
            ],
          },
        },
      },
      '.route.weighted_clusters.clusters: the sum of the weights must be below 2^32',
    ],
    [
      'a total that is not the sum',
      { route: { weightedClusters: { clusters: [{ name: 'a', weight: 3 }], totalWeight: 100 } } },
      '.route.weighted_clusters.total_weight: is 100 but the weights add up to 3',
    ],
    [
      'a weighted cluster without a weight',
      { route: { weightedClusters: { clusters: [{ name: 'a' }] } } },
      '.route.weighted_clusters.clusters[0].weight: is required',
    ],
    [
      'no retries',
      { route: { cluster: 'c', retryPolicy: { numRetries: 0 } } },
      '.route.retry_policy.num_retries: must be at least 1',
    ],
    [
      'an inverted back-off',
      { route: { cluster: 'c', retryPolicy: { retryBackOff: { baseInterval: '2s', maxInterval: '1s' } } } },
      '.route.retry_policy.retry_back_off.max_interval: must not be less than base_interval',
    ],
    [
      'a back-off without a base',
      { route: { cluster: 'c', retryPolicy: { retryBackOff: { maxInterval: '1s' } } } },
      '.route.retry_policy.retry_back_off.base_interval: is required',
    ],
    [
      'an unknown retry predicate',
      { route: { cluster: 'c', retryPolicy: { retryHostPredicate: [{ name: 'omit' }] } } },
      '.route.retry_policy.retry_host_predicate[0]: the predicate "omit" is not supported',
    ],
    [
      'a status out of range',
      { route: undefined, directResponse: { status: 199 } },
      '.direct_response.status: must be between 200 and 599',
    ],
    [
      'an unknown cluster specifier',
      { route: { inlineClusterSpecifierPlugin: { extension: { name: 'p' } } } },
      '.route.inline_cluster_specifier_plugin: the plug-in "" is not supported',
    ],
    [
      'a cluster specifier that is not declared',
      { route: { clusterSpecifierPlugin: 'p' } },
      '.route.cluster_specifier_plugin: "p" is not declared',
    ],
    [
      'a weighted cluster with two names',
      { route: { weightedClusters: { clusters: [{ name: 'a', clusterHeader: 'b', weight: 1 }] } } },
      '.route.weighted_clusters.clusters[0]: may have only one of name and cluster_header',
    ],
    [
      'a weighted cluster without a name',
      { route: { weightedClusters: { clusters: [{ weight: 1 }] } } },
      '.route.weighted_clusters.clusters[0]: needs a name or a cluster_header',
    ],
    [
      'a template rewrite without a template',
      { route: { cluster: 'c', pathRewritePolicy: REWRITE('/{x}') } },
      '.route.path_rewrite_policy: needs a path_match_policy in the match of the route',
    ],
    [
      'a template rewrite with an unknown variable',
      {
        match: { pathMatchPolicy: MATCH('/{y}') },
        route: { cluster: 'c', pathRewritePolicy: REWRITE('/{x}') },
      },
      '.route.path_rewrite_policy: names the variable x, which the match does not have',
    ],
    [
      'a template that is none',
      { match: { pathMatchPolicy: MATCH('/**/*') } },
      '.match.path_match_policy.typed_config.path_template: has a wildcard after "**"',
    ],
    [
      'a cookie without a matcher',
      { match: { prefix: '/', cookies: [{ name: 'a' }] } },
      '.match.cookies[0].string_match: is required',
    ],
    [
      'a body from a file that is not there',
      { route: undefined, directResponse: { status: 200, body: { filename: '/nowhere/at/all' } } },
      ".direct_response.body.filename: can't be read: ENOENT",
    ],
  ])('%s', (_what, fields, message) => {
    const json = JSON.parse(JSON.stringify({ match: { prefix: '/' }, route: { cluster: 'c' }, ...fields }));
    const table = { name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes: [json] }] };
    expect(refusal(ROUTE_CONFIGURATION, table)).toContain(`INMESH_XDS_DECODE: ${ROUTE}${message}`);
  });

  test('a fault whose abort or delay is not complete', () => {
    const withFault = (fault: object): string =>
      refusal(
        ROUTE_CONFIGURATION,
        tableWithRoute({ typedPerFilterConfig: { f: { '@type': FAULT, ...fault } } }),
      );
    expect(withFault({ abort: {} })).toContain('.abort.http_status: is required');
    expect(withFault({ abort: { httpStatus: 600 } })).toContain(
      '.abort.http_status: must be between 200 and 599',
    );
    expect(withFault({ delay: {} })).toContain('.delay.fixed_delay: is required');
    expect(withFault({ delay: { fixedDelay: '0s' } })).toContain(
      '.delay.fixed_delay: must be greater than 0',
    );
  });
});

describe('a route table is refused when', () => {
  test.each([
    [
      'a domain stands in two virtual hosts',
      [['a', 'b'], ['B']],
      'virtual_hosts[1].domains[0]: the domain "b" stands twice',
    ],
    ['"*" stands twice', [['*'], ['*']], 'virtual_hosts[1].domains[0]: the domain "*" stands twice'],
    ['a virtual host has no domain', [[]], 'virtual_hosts[0].domains: must not be empty'],
    ['a domain is empty', [['']], 'virtual_hosts[0].domains[0]: must not be empty'],
    ['a wildcard is in the middle', [['a.*.b']], 'virtual_hosts[0].domains[0]: "a.*.b" may have one "*"'],
    ['a domain has two wildcards', [['*a*']], 'virtual_hosts[0].domains[0]: "*a*" may have one "*"'],
  ])('%s', (_what, domains, message) => {
    const json = { name: 'r', virtualHosts: domains.map((list) => ({ name: 'v', domains: list })) };
    expect(refusal(ROUTE_CONFIGURATION, json)).toContain(message);
  });

  test('it has no name', () => {
    expect(refusal(ROUTE_CONFIGURATION, {})).toContain('RDS');
  });
});

test('an error names the resource', () => {
  expect(refusal(ROUTE_CONFIGURATION, { name: 'r', vhds: {} })).toBe(
    'INMESH_XDS_DECODE: vhds.config_source: is required (RDS r)',
  );
});

test('the name is read from the message', () => {
  expect(ROUTE_CONFIGURATION.decode(wire(ROUTE_CONFIGURATION, { name: 'r' })).name).toBe('r');
});
