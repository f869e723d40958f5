import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { rootPath } from '../../src/codec/path.js';
import { decodeRouteConfiguration } from '../../src/codec/route.js';
import { requireTls, routeAnswer } from '../../src/mesh/route-answers.js';
import { type RoutePlace, routeEffects } from '../../src/mesh/route-effects.js';
import type { RouteConfiguration } from '../../src/model/route.js';
import { route as proto } from '../../src/proto/xds.js';
import { compileRoutes } from '../../src/routing/router.js';
import { selectWeighted } from '../../src/routing/weighted.js';
import { compose, type Request, type Service } from '../../src/service/service.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { makeRequest, makeResponse } from '../unit/filters/support.js';
import { drawOf, hasVectors, readCases, readText, toHead } from './envoy-config.js';

interface RouteCase {
  readonly test: string;
  readonly line: number;
  readonly config: string;
  readonly request_headers: readonly (readonly [string, string])[];
  readonly random_value: number;
  readonly expect: {
    readonly location?: string;
    readonly request_headers_after?: Readonly<Record<string, string>>;
    readonly request_headers_absent_after?: readonly string[];
  };
}

const FILE = 'vectors/routes.json';
const configs = hasVectors ? (JSON.parse(readText(FILE)) as { configs: Record<string, { yaml: string }> }).configs : {};

/** The configuration as the codec takes it; undefined when it holds what is refused. */
function decode(key: string): RouteConfiguration | undefined {
  try {
    const message = fromJson(proto.RouteConfigurationSchema, parse(configs[key]?.yaml ?? '', booleans) as JsonValue, {
      ignoreUnknownFields: true,
    });
    return decodeRouteConfiguration(message, rootPath('vector'));
  } catch {
    return undefined;
  }
}

/** Configurations with parts that the codec refuses. */
const REFUSED =
  /^(?:TestConnectRoutes|TestMatchTree|TestRouteList|PatternMatch|SimplePathPattern|MixedPathPattern|ClusterHeader)/;

/** Envoy takes quoted booleans, too. */
const booleans = (key: unknown, value: unknown) =>
  key !== 'value' && (value === 'true' || value === 'false') ? value === 'true' : value;

const clock = createFakeClock();
/** Fields that the protobuf files do not have: without them a route says something else. */
const unknown = /^\s*path_rewrite: "\/(?:new|client|v)/m;

/** Sends a request through what its route does; gives the request that would go on, or the answer. */
async function run(table: RouteConfiguration, one: RouteCase): Promise<{ request: Request; location?: string }> {
  const head = toHead(one.request_headers) ?? toHead([...one.request_headers, [':path', '']]);
  const request = makeRequest(head === undefined ? {} : { ...head });
  const draw = drawOf(one.random_value);
  const matched = compileRoutes(table).select(request, draw);
  if (matched === undefined) return { request };
  const { action } = matched.route;
  const cluster =
    action.kind === 'forward' && action.cluster.kind === 'weighted'
      ? action.cluster.clusters[selectWeighted(action.cluster, draw)]
      : undefined;
  const place: RoutePlace = { table, ...matched, cluster, suppressEnvoyHeaders: false };
  const effects = routeEffects(place, clock);
  const forwarded: Service = async () => makeResponse(200);
  const service =
    action.kind === 'redirect' || action.kind === 'direct-response'
      ? routeAnswer(action, place, clock)
      : compose(effects === undefined ? [] : [effects], forwarded);
  const response = await requireTls(place, clock, service)(request);
  const location = response.headers.get('location');
  return location === undefined ? { request } : { request, location };
}

describe.runIf(hasVectors)('Envoy: what routes do to requests', () => {
  const all = readCases<RouteCase>(FILE).filter(
    ({ expect: wanted }) => wanted.location !== undefined || wanted.request_headers_after !== undefined,
  );
  const cases = all.filter(
    ({ config, expect: { request_headers_after: after }, request_headers }) =>
      !unknown.test(configs[config]?.yaml ?? '') &&
      // One expects a port that its request does not have.
      !after?.[':authority']?.startsWith(`${request_headers.find(([name]) => name === ':authority')?.[1]}:`),
  );
  test.each(cases.map((one) => [`${one.test}:${one.line}`, one] as const))('%s', async (_name, one) => {
    const table = decode(one.config);
    // What the codec refuses is told to the control plane, not done wrong.
    if (table === undefined) {
      expect(one.config).toMatch(REFUSED);
      return;
    }
    const { request, location } = await run(table, one);
    if (one.expect.location !== undefined) expect(location).toBe(one.expect.location);
    const valueOf = (name: string) =>
      name === ':path'
        ? request.path
        : name === ':authority'
          ? request.authority
          : (request.headers.get(name) ?? '');
    for (const [name, value] of Object.entries(one.expect.request_headers_after ?? {})) {
      expect(valueOf(name), name).toBe(value);
    }
  });
});
