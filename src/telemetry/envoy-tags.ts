import type { Attributes, AttributeValue } from '@opentelemetry/api';
import type { Attempt, Exchange } from '../service/context.js';
import { formatFlags } from '../service/format/response-flags.js';
import { isGrpc } from '../service/local-reply.js';
import type { Request, Response } from '../service/service.js';
import { rpcStatusOf } from './rpc-attributes.js';

// What Istio's dashboards look for: spans of a mesh carry Envoy's tags besides OpenTelemetry's attributes.

/** What spans say where they come from. */
export interface SpanOrigin {
  readonly nodeId: string;
  readonly zone: string;
}

/** How an exchange ended, as tags tell it. */
export interface TaggedEnd {
  readonly response: Response | undefined;
  readonly error: unknown;
}

/** Envoy's tags of the span of an exchange (finalizeDownstreamSpan). */
export function exchangeTags(
  request: Request,
  end: TaggedEnd,
  origin: SpanOrigin,
  maxPathLength: number,
): Attributes {
  const { headers, context, method } = request;
  const { status = 0 } = end.response ?? {};
  const tags: Record<string, AttributeValue> = {
    component: 'proxy',
    node_id: origin.nodeId,
    'http.method': method,
    'http.url': urlOf(request, maxPathLength),
    'http.protocol': context.protocol ?? 'HTTP/1.1',
    'http.status_code': String(status),
    downstream_cluster: headers.get('x-envoy-downstream-service-cluster') ?? '-',
    user_agent: headers.get('user-agent') ?? '-',
    request_size: String(context.requestBytes),
    response_size: String(context.responseBytes),
    response_flags: context.flags.length === 0 ? '-' : formatFlags(context.flags),
    ...clusterTags(context),
  };
  if (origin.zone !== '') tags['zone'] = origin.zone;
  const id = headers.get('x-request-id');
  if (id !== undefined) tags['guid:x-request-id'] = id;
  const clientId = headers.get('x-client-trace-id');
  if (clientId !== undefined) tags['guid:x-client-trace-id'] = clientId;
  const peer = context.connection?.directRemote?.address;
  if (peer !== undefined) tags['peer.address'] = peer;
  if (isGrpc(request)) Object.assign(tags, callTags(request, end));
  // Envoy: no answer, or one of 5xx.
  if (status === 0 || status >= 500 || end.error !== undefined) tags['error'] = 'true';
  return tags;
}

/** Envoy's tags of the span of an attempt (finalizeUpstreamSpan). */
export function attemptTags(
  { context }: Request,
  { host, status = 0, number }: Attempt,
  error: unknown,
  clusterName: string,
): Attributes {
  const tags: Record<string, AttributeValue> = {
    component: 'proxy',
    'http.protocol': context.upstreamProtocol ?? 'HTTP/1.1',
    'http.status_code': String(status),
    upstream_cluster: clusterName,
    'upstream_cluster.name': clusterName,
    response_flags: context.flags.length === 0 ? '-' : formatFlags(context.flags),
  };
  if (host !== undefined) {
    tags['upstream_address'] = host;
    tags['peer.address'] = host;
  }
  if (number > 1) tags['retry.count'] = String(number - 1);
  if (status === 0 || status >= 500 || error !== undefined) tags['error'] = 'true';
  return tags;
}

function clusterTags({ clusterName, upstreamHost }: Exchange): Attributes {
  if (clusterName === undefined) return {};
  return {
    upstream_cluster: clusterName,
    'upstream_cluster.name': clusterName,
    ...(upstreamHost !== undefined && { upstream_address: upstreamHost }),
  };
}

/** Statuses that Envoy calls errors of a server. */
const FAILED: ReadonlySet<number> = new Set([1, 2, 4, 8, 10, 12, 13, 14, 15]);

function callTags(request: Request, { response, error }: TaggedEnd): Attributes {
  const { headers, path, authority } = request;
  const trailers = response?.completion.end?.trailers;
  const status = rpcStatusOf(request, { response, trailers, error });
  const message = trailers?.get('grpc-message') ?? response?.headers.get('grpc-message');
  return {
    'grpc.path': path,
    'grpc.authority': authority,
    'grpc.content_type': headers.get('content-type') ?? '',
    ...(headers.has('grpc-timeout') && { 'grpc.timeout': headers.get('grpc-timeout') }),
    ...(status !== undefined && { 'grpc.status_code': String(status) }),
    ...(message !== undefined && { 'grpc.message': message }),
    ...(status !== undefined && FAILED.has(status) && { error: 'true' }),
  };
}

/** Envoy: the path as it came, cut to its longest length. */
function urlOf({ scheme, authority, path, headers }: Request, maxPathLength: number): string {
  const original = headers.get('x-envoy-original-path') ?? path;
  return `${scheme}://${authority}${original.slice(0, maxPathLength)}`;
}
