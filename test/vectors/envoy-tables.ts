import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { parse } from 'yaml';
import { rootPath } from '../../src/codec/path.js';
import { decodeRouteConfiguration } from '../../src/codec/route.js';
import type { RouteConfiguration } from '../../src/model/route.js';
import { registry } from '../../src/proto/registry.js';
import { route as proto } from '../../src/proto/xds.js';
import { createExchange } from '../../src/service/context.js';
import type { Request, Response } from '../../src/service/service.js';
import { clustersOf } from '../../src/xds/targets.js';
import { cluster, endpoint, snapshotOf } from '../integration/support/static-mesh.js';
import { makeRequest } from '../unit/filters/support.js';
import { createDataPath } from '../unit/mesh/support.js';
import { drawOf } from './envoy-config.js';

/** Envoy takes quoted booleans and durations as messages, too; numbers of 64 bits stand as texts in JSON. */
function asJson(key: unknown, value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (key !== 'value' && (value === 'true' || value === 'false')) return value === 'true';
  const isDuration = typeof value === 'object' && value !== null && Object.keys(value).join() === 'seconds';
  return isDuration && 'seconds' in value ? `${value.seconds}s` : value;
}

/** Fields that the published protobuf files do not have: without them a route says something else. */
const UNKNOWN = ['path_rewrite: "', 'request_body_buffer_limit', 'retry_options_predicates', 'host_rewrite: "%'];

/** The first of the fields in a configuration that the protobuf files don't have. */
export function unknownField(yaml: string): string | undefined {
  return UNKNOWN.find((field) => yaml.includes(field))?.split(':')[0];
}

/** A route table of Envoy's tests, decoded by the codec. */
export function decodeTable(yaml: string): RouteConfiguration {
  const json = parse(yaml, asJson, { intAsBigInt: true }) as JsonValue;
  const message = fromJson(proto.RouteConfigurationSchema, json, {
    ignoreUnknownFields: true,
    registry: registry(),
  });
  return decodeRouteConfiguration(message, rootPath('vector'));
}

/** A request of Envoy's tests. */
export function requestOf(headers: readonly (readonly [string, string])[], randomValue: number): Request {
  const pseudo = new Map(headers.filter(([name]) => name.startsWith(':')));
  const request = makeRequest({
    method: pseudo.get(':method') ?? 'GET',
    scheme: pseudo.get(':scheme') ?? 'http',
    authority: pseudo.get(':authority') ?? '',
    path: pseudo.get(':path') ?? '',
    context: createExchange('outbound', 0, drawOf(randomValue)),
  });
  for (const [name, value] of headers) if (!name.startsWith(':')) request.headers.append(name, value);
  return request;
}

/** What became of a request. */
export interface Outcome {
  /** As it was sent, or as it was when it was answered here. */
  readonly request: Request;
  readonly response: Response;
}

/** Sends a request through the data path of a table; every cluster of the table is there, and those given. */
export async function sendThrough(
  table: RouteConfiguration,
  request: Request,
  clusters: readonly string[] = [],
  responseHeaders: Readonly<Record<string, string>> = {},
  suppressEnvoyHeaders = false,
): Promise<Outcome> {
  const names = new Set([...clustersOf(table), ...clusters]);
  const listener = {
    kind: 'outbound' as const,
    name: 'vector:80',
    http: { routes: { kind: 'rds' as const, name: '' }, filters: [{ name: 'router', config: { kind: 'router' as const, suppressEnvoyHeaders } }] },
  };
  const path = createDataPath(
    snapshotOf(
      [{ listener, routes: table }],
      [...names].map((name) => cluster(name, [endpoint(1)])),
    ),
  );
  path.network.serve('127.0.0.1:1', { status: 200, headers: responseHeaders });
  const response = await path.send('http://vector', request);
  return { request: path.network.attempts[0]?.request ?? request, response };
}

/** The value of a header or pseudo-header; empty when it is not there. */
export function valueOf(request: Request, name: string): string {
  if (name === ':path') return request.path;
  return name === ':authority' ? request.authority : (request.headers.get(name) ?? '');
}
