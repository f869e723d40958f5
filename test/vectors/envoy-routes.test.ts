import { expect } from 'vitest';
import type { RouteAction, RouteConfiguration } from '../../src/model/route.js';
import { compileRoutes } from '../../src/routing/router.js';
import { selectRoute } from '../../src/routing/select-route.js';
import type { Request } from '../../src/service/service.js';
import { decodeTable, requestOf, sendThrough, unknownField, valueOf } from './envoy-tables.js';
import { vectorJson, vectorSuite } from './score.js';

const FILE = 'envoy/vectors/routes.json';

interface Expectation {
  readonly cluster?: string;
  readonly route?: null;
  readonly route_name?: string;
  readonly timeout_ms?: number;
  readonly priority?: string;
  readonly status?: number;
  readonly location?: string;
  readonly is_direct_response?: boolean;
  readonly is_route_entry?: boolean;
  readonly request_headers_after?: Readonly<Record<string, string>>;
  readonly request_headers_absent_after?: readonly string[];
  readonly per_try_timeout_ms?: number;
  readonly num_retries?: number;
  readonly retry_on?: readonly string[];
  readonly hedge_initial_requests?: number;
  readonly hedge_on_per_try_timeout?: boolean;
}

interface RouteCase {
  readonly test: string;
  readonly line: number;
  readonly config: string;
  readonly request_headers: readonly (readonly [string, string])[];
  readonly random_value: number;
  readonly expect: Expectation;
  readonly insert_envoy_original_path?: boolean;
}

interface InvalidCase {
  readonly test: string;
  readonly line: number;
  readonly yaml: string;
}

const file = vectorJson(FILE) as
  | { configs: Record<string, { yaml: string }>; cases: readonly RouteCase[]; invalid: readonly InvalidCase[] }
  | undefined;
const yamlOf = (key: string): string => file?.configs[key]?.yaml ?? '';

/** Why a case is not run. */
function skip({ config, request_headers, expect: wanted }: RouteCase): string | undefined {
  const header = (name: string) => request_headers.find(([one]) => one === name)?.[1];
  if (header('x-forwarded-proto') === undefined) return 'a request without x-forwarded-proto has the scheme of its URL';
  const after = wanted.request_headers_after?.[':authority'] ?? '';
  if (after.startsWith(`${header(':authority')}:`)) return 'expects a port that the request does not have';
  const decidesByPath = wanted.cluster === undefined && wanted.route !== null;
  const unknown = decidesByPath ? unknownField(yamlOf(config)) : undefined;
  // The table of TestRoutes has such a field in two of its routes only.
  if (unknown !== undefined && !config.startsWith('TestRoutes')) return `the protobuf files lack ${unknown}`;
  return undefined;
}

/** The forwarding action of the matched route. */
function actionOf(table: RouteConfiguration, request: Request): RouteAction | undefined {
  const matched = compileRoutes(table).select(request, request.context.random);
  expect(matched?.route).toBe(selectRoute(table, request, request.context.random)?.route);
  return matched?.route.action.kind === 'forward' ? matched.route.action : undefined;
}

vectorSuite({
  file: FILE,
  part: 'requests',
  cases: file?.cases ?? [],
  title: ({ config, line }) => `${config}, line ${line}`,
  skip,
  run: async ({ config, request_headers, random_value, expect: wanted, ...more }) => {
    const table = decodeTable(yamlOf(config));
    const request = requestOf(request_headers, random_value);
    const action = actionOf(table, request);
    const host = compileRoutes(table).virtualHost(request);
    const clusters = wanted.cluster === undefined || wanted.cluster === '' ? [] : [wanted.cluster];
    const sent = await sendThrough(table, request, clusters, {}, more.insert_envoy_original_path === false);
    if (wanted.route === null) expect(sent.response.local?.reason).toBe('INMESH_NO_ROUTE');
    if (wanted.cluster !== undefined) expect(request.context.clusterName).toBe(wanted.cluster);
    if (wanted.route_name !== undefined) expect(request.context.routeName).toBe(wanted.route_name);
    if (wanted.timeout_ms !== undefined) expect(action?.timeoutMs).toBe(wanted.timeout_ms);
    if (wanted.priority !== undefined) expect(action?.priority).toBe(wanted.priority.toLowerCase());
    if (wanted.status !== undefined) expect(sent.response.status).toBe(wanted.status);
    if (wanted.is_direct_response !== undefined) {
      expect(sent.response.local?.details === 'direct_response').toBe(wanted.is_direct_response);
    }
    if (wanted.is_route_entry !== undefined) expect(action !== undefined).toBe(wanted.is_route_entry);
    if (wanted.location !== undefined) expect(sent.response.headers.get('location')).toBe(wanted.location);
    for (const [name, value] of Object.entries(wanted.request_headers_after ?? {})) {
      expect(valueOf(sent.request, name), name).toBe(value);
    }
    for (const name of wanted.request_headers_absent_after ?? []) {
      expect(sent.request.headers.has(name), name).toBe(false);
    }
    const retry = action?.retryPolicy ?? host?.retryPolicy;
    if (wanted.num_retries !== undefined) expect(retry?.numRetries ?? 1).toBe(wanted.num_retries);
    if (wanted.per_try_timeout_ms !== undefined) {
      expect(retry?.perTryTimeoutMs ?? 0).toBe(wanted.per_try_timeout_ms);
    }
    if (wanted.retry_on !== undefined) expect(namesOf(retry?.retryOn ?? [])).toEqual([...wanted.retry_on].sort());
    const hedge = action?.hedge ?? host?.hedge;
    if (wanted.hedge_initial_requests !== undefined) {
      expect(hedge?.initialRequests ?? 1).toBe(wanted.hedge_initial_requests);
    }
    if (wanted.hedge_on_per_try_timeout !== undefined) {
      expect(hedge?.onPerTryTimeout ?? false).toBe(wanted.hedge_on_per_try_timeout);
    }
  },
});

function namesOf(conditions: readonly string[]): string[] {
  return conditions.map((one) => `RETRY_ON_${one.toUpperCase().replaceAll('-', '_')}`).sort();
}

vectorSuite({
  file: FILE,
  part: 'invalid tables',
  cases: file?.invalid ?? [],
  title: ({ test, line }) => `${test}, line ${line}`,
  skip: ({ yaml }) => {
    if (/auto_host_rewrite: true/.test(yaml) && /host_rewrite: foo|auto_host_rewrite_header/.test(yaml)) {
      return 'refused by a field that the protobuf files lack';
    }
    return undefined;
  },
  run: ({ yaml }) => {
    expect(() => decodeTable(yaml)).toThrow();
  },
});
