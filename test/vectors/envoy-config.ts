import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { NO_OVERRIDES } from '../../src/model/filter-config.js';
import type { HeaderMatcher, PathMatcher, StringMatcher } from '../../src/model/matcher.js';
import type { ClusterSpecifier, Route, RouteConfiguration } from '../../src/model/route.js';
import type { RequestHead } from '../../src/service/service.js';
import { head } from '../unit/routing/fixtures.js';

const folder = new URL('../../../shared/vectors/envoy/', import.meta.url);

/** Whether the vectors are there; without them the tests that read them have nothing to do. */
export const hasVectors = existsSync(folder);

export function readText(name: string): string {
  return readFileSync(new URL(name, folder), 'utf8');
}

/** One list of a vector file; empty when the folder is not there. */
export function readCases<T>(name: string, list = 'cases'): T[] {
  if (!hasVectors) return [];
  return (JSON.parse(readText(name)) as Record<string, T[]>)[list] ?? [];
}

/** Thrown for parts of Envoy's configuration that the model does not have yet. */
export class OutOfScope extends Error {}

interface Yaml {
  readonly [key: string]: unknown;
}
const list = (value: unknown): Yaml[] => (Array.isArray(value) ? (value as Yaml[]) : []);
const child = (value: unknown): Yaml | undefined =>
  typeof value === 'object' && value !== null ? (value as Yaml) : undefined;

/** Envoy's route configuration as the model has it: only what choosing a route and cluster needs. */
export function toRouteConfiguration(yaml: string): RouteConfiguration {
  const document = parse(yaml) as Yaml;
  reject(document, ['vhost_header', 'ignore_port_in_host_matching', 'ignore_path_parameters_in_path_matching']);
  return {
    name: '',
    virtualHosts: list(document['virtual_hosts']).map((one) => {
      reject(one, ['matcher', 'require_tls']);
      return {
        name: String(one['name']),
        domains: (one['domains'] as string[]).map(String),
        routes: list(one['routes']).map(toRoute),
        retryPolicy: undefined,
        filterOverrides: NO_OVERRIDES,
        includeRequestAttemptCount: false,
      };
    }),
  };
}

function toRoute(yaml: Yaml): Route {
  const match = child(yaml['match']) ?? {};
  reject(match, ['tls_context', 'dynamic_metadata', 'cookies', 'runtime_fraction']);
  const action = child(yaml['route']);
  return {
    name: String(yaml['name'] ?? ''),
    match: {
      path: toPath(match),
      headers: list(match['headers']).map(toHeaderMatcher),
      queryParameters: list(match['query_parameters']).map((one) => ({
        name: String(one['name']),
        match:
          one['string_match'] === undefined
            ? { kind: 'present', present: one['present_match'] !== false }
            : { kind: 'string', matcher: toStringMatcher(child(one['string_match']) ?? {}) },
      })),
      runtimeFraction: undefined,
      grpcOnly: match['grpc'] !== undefined,
    },
    action:
      action === undefined
        ? { kind: 'non-forwarding' }
        : {
            kind: 'forward',
            cluster: toCluster(action),
            timeoutMs: 0,
            retryPolicy: undefined,
            maxStreamDurationMs: undefined,
            priority: 'default',
          },
    filterOverrides: NO_OVERRIDES,
  };
}

function toPath(match: Yaml): PathMatcher {
  // Nobody sets filter state in these requests, and no request has an empty path.
  if (match['filter_state'] !== undefined) return { kind: 'path', value: '', caseSensitive: true };
  const caseSensitive = match['case_sensitive'] !== false;
  for (const [field, kind] of [
    ['prefix', 'prefix'],
    ['path', 'path'],
    ['path_separated_prefix', 'path-separated-prefix'],
  ] as const) {
    const value = match[field];
    if (value !== undefined) return { kind, value: String(value), caseSensitive };
  }
  const regex = child(match['safe_regex']);
  if (regex === undefined) throw new OutOfScope(`path specifier of ${JSON.stringify(match)}`);
  return { kind: 'regex', pattern: String(regex['regex']) };
}

function toCluster(action: Yaml): ClusterSpecifier {
  const weighted = child(action['weighted_clusters']);
  if (weighted === undefined) {
    if (action['cluster'] === undefined) throw new OutOfScope('cluster specifier');
    return { kind: 'cluster', name: String(action['cluster']) };
  }
  reject(weighted, ['header_name', 'use_hash_policy']);
  const clusters = list(weighted['clusters']).map((one) => {
    reject(one, ['cluster_header']);
    return { name: String(one['name']), weight: Number(one['weight']), filterOverrides: NO_OVERRIDES };
  });
  return { kind: 'weighted', clusters, totalWeight: clusters.reduce((sum, { weight }) => sum + weight, 0) };
}

export function toHeaderMatcher(yaml: Yaml): HeaderMatcher {
  const range = child(yaml['range_match']);
  const text = child(yaml['string_match']) ?? flatString(yaml);
  return {
    name: String(yaml['name']),
    match:
      range !== undefined
        ? { kind: 'range', start: Number(range['start']), end: Number(range['end']) }
        : text !== undefined
          ? { kind: 'string', matcher: toStringMatcher(text) }
          : { kind: 'present', present: yaml['present_match'] !== false },
    invert: yaml['invert_match'] === true,
    treatMissingAsEmpty: yaml['treat_missing_header_as_empty'] === true,
  };
}

/** The deprecated fields of HeaderMatcher. */
function flatString(yaml: Yaml): Yaml | undefined {
  for (const kind of ['exact', 'prefix', 'suffix', 'contains']) {
    if (yaml[`${kind}_match`] !== undefined) return { [kind]: yaml[`${kind}_match`] };
  }
  return yaml['safe_regex_match'] === undefined ? undefined : { safe_regex: yaml['safe_regex_match'] };
}

export function toStringMatcher(yaml: Yaml): StringMatcher {
  const regex = child(yaml['safe_regex']);
  if (regex !== undefined) return { kind: 'regex', pattern: String(regex['regex']) };
  for (const kind of ['exact', 'prefix', 'suffix', 'contains'] as const) {
    if (yaml[kind] !== undefined) {
      return { kind, value: String(yaml[kind]), ignoreCase: yaml['ignore_case'] === true };
    }
  }
  throw new OutOfScope(JSON.stringify(yaml));
}

/** A request of Envoy's tests; undefined when it has no path. */
export function toHead(headers: readonly (readonly [string, string])[]): RequestHead | undefined {
  const path = headers.find(([name]) => name === ':path')?.[1];
  return path === undefined ? undefined : head(path, headers);
}

/** The draw that stands for a random value of Envoy's tests. */
export function drawOf(value: number): number {
  return ((value % 2 ** 32) + 0.5) / 2 ** 32;
}

function reject(yaml: Yaml, fields: readonly string[]): void {
  for (const field of fields) if (yaml[field] !== undefined) throw new OutOfScope(field);
}

/** What `run` gives, or undefined when it is out of scope. */
export function inScope<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof OutOfScope) return undefined;
    throw error;
  }
}
