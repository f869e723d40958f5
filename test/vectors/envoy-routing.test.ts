import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { RouteConfiguration } from '../../src/model/route.js';
import { compileHeaderMatcher, compileString, pathOf } from '../../src/routing/match.js';
import { compileRoutes } from '../../src/routing/router.js';
import { selectRoute } from '../../src/routing/select-route.js';
import { selectCluster } from '../../src/routing/weighted.js';
import type { RequestHead } from '../../src/service/service.js';
import { head } from '../unit/routing/fixtures.js';
import {
  drawOf,
  hasVectors,
  inScope,
  readCases,
  readText,
  toHead,
  toHeaderMatcher,
  toRouteConfiguration,
  toStringMatcher,
} from './envoy-config.js';

interface StringCase {
  readonly name: string;
  readonly line: number;
  readonly type: string;
  readonly matcher: Readonly<Record<string, unknown>>;
  readonly value?: string;
  readonly path?: string;
  readonly expect: boolean;
}
const strings = readCases<StringCase>('vectors/value_string_path_matchers.json').filter(
  // MetadataMatcher is not in the model yet.
  ({ type }) => type !== 'MetadataMatcher',
);

describe.runIf(hasVectors)('string and path matchers, as Envoy tests them', () => {
  test.each(strings)('$name, line $line', ({ type, matcher, value = '', path = '', expect: expected }) => {
    const own = (matcher['path'] ?? matcher) as Readonly<Record<string, unknown>>;
    const matches = compileString(toStringMatcher(own));
    expect(matches(type === 'PathMatcher' ? pathOf(path) : value)).toBe(expected);
  });

  test('33 are in scope', () => expect(strings.length).toBe(33));
});

interface HeaderCase {
  readonly test: string;
  readonly src: string;
  readonly op: 'all' | 'any';
  readonly matchers_yaml: readonly string[];
  readonly headers: readonly (readonly [string, string])[];
  readonly individually: boolean;
  readonly expect: boolean;
}
const headerCases = readCases<HeaderCase>('vectors/header_matchers.json').filter(
  // The behaviour before Envoy 1.39 joined repeated lines; a case with single lines is the same in both.
  ({ individually, headers }) => individually || new Set(headers.map(([name]) => name)).size === headers.length,
);

describe.runIf(hasVectors)('header matchers, as Envoy tests them', () => {
  test.each(headerCases)('$test at $src', ({ op, matchers_yaml, headers, expect: expected }) => {
    const predicates = matchers_yaml.map((yaml) => compileHeaderMatcher(toHeaderMatcher(parse(yaml))));
    const one = head('/', headers);
    const result = op === 'all' ? predicates.every((matches) => matches(one)) : predicates.some((matches) => matches(one));
    expect(result).toBe(expected);
  });

  test('21 are in scope', () => expect(headerCases.length).toBe(21));
});

/** The cluster of the chosen route; undefined without a route. Both readings must agree. */
function clusterFor(config: RouteConfiguration, one: RequestHead, draw: number): string | undefined {
  const chosen = compileRoutes(config).select(one, draw);
  expect(chosen?.route).toBe(selectRoute(config, one, draw)?.route);
  return chosen?.route.action.kind === 'forward' ? selectCluster(chosen.route.action.cluster, draw) : undefined;
}

interface RouteCase {
  readonly test: string;
  readonly line: number;
  readonly config: string;
  readonly request_headers: readonly (readonly [string, string])[];
  readonly random_value: number;
  readonly expect: { readonly cluster?: string; readonly route?: null };
}

describe.runIf(hasVectors)('route tables, as Envoy tests them', () => {
  const configs = hasVectors
    ? (JSON.parse(readText('vectors/routes.json')) as { configs: Record<string, { yaml: string }> }).configs
    : {};
  const cases = readCases<RouteCase>('vectors/routes.json').flatMap((one) => {
    const { cluster, route } = one.expect;
    const request = toHead(one.request_headers);
    // A missing x-forwarded-proto or path are matters of a proxy's downstream.
    const isAsked = one.request_headers.some(([name]) => name === 'x-forwarded-proto');
    if ((cluster === undefined && route !== null) || request === undefined || !isAsked) return [];
    const config = inScope(() => toRouteConfiguration(configs[one.config]?.yaml ?? ''));
    return config === undefined ? [] : [{ ...one, request, routes: config }];
  });

  test.each(cases)('$config, line $line', ({ routes, request, random_value, expect: expected }) => {
    expect(clusterFor(routes, request, drawOf(random_value))).toBe(expected.cluster);
  });

  test('28 are in scope', () => expect(cases.length).toBe(28));
});

interface RouterCheck {
  readonly test_name: string;
  readonly input: {
    readonly authority: string;
    readonly path: string;
    readonly method: string;
    readonly random_value?: number;
    readonly additional_request_headers?: readonly { readonly key: string; readonly value: string }[];
  };
  readonly validate: { readonly cluster_name?: string; readonly virtual_host_name?: string };
}

describe.runIf(hasVectors).each(['TestRoutes', 'Weighted', 'HeaderMatchedRouting', 'Timeout'])(
  'router_check %s',
  (name) => {
    const routes = hasVectors ? toRouteConfiguration(readText(`router_check/${name}.yaml`)) : undefined;
    const cases = readCases<RouterCheck>(`router_check/${name}.golden.proto.json`, 'tests').filter(
      ({ validate }) => validate.cluster_name !== undefined,
    );

    test.each(cases)('$test_name', ({ input, validate }) => {
      const headers = input.additional_request_headers?.map(({ key, value }) => [key, value] as const) ?? [];
      const pseudo = [
        [':authority', input.authority],
        [':method', input.method],
      ] as const;
      const one = head(input.path, [...pseudo, ...headers]);
      const draw = drawOf(input.random_value ?? 0);
      expect(clusterFor(routes!, one, draw)).toBe(validate.cluster_name || undefined);
      if (!validate.virtual_host_name) return;
      expect(compileRoutes(routes!).select(one, draw)?.virtualHost.name).toBe(validate.virtual_host_name);
    });

    test('cases are in scope', () => expect(cases.length).toBeGreaterThan(0));
  },
);
