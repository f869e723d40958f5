import type { Attributes, AttributeValue } from '@opentelemetry/api';
import type { Exchange } from '../service/context.js';
import type { Request } from '../service/service.js';

/** What is known of a client's request at its start (OpenTelemetry's HTTP conventions). */
export function clientAttributes(request: Request): Attributes {
  const { scheme, path, method } = request;
  const { host, port } = serverOf(request);
  return {
    'http.request.method': method,
    'server.address': host,
    'server.port': port,
    'url.full': `${scheme}://${request.authority}${path}`,
  };
}

/** What is known of a server's request at its start (OpenTelemetry's HTTP conventions). */
export function serverAttributes(request: Request): Attributes {
  const { scheme, path, method, headers } = request;
  const { host, port } = serverOf(request);
  const query = path.indexOf('?');
  const attributes: Record<string, AttributeValue> = {
    'http.request.method': method,
    'server.address': host,
    'server.port': port,
    'url.scheme': scheme,
    'url.path': query < 0 ? path : path.slice(0, query),
  };
  if (query >= 0) attributes['url.query'] = path.slice(query + 1);
  const agent = headers.get('user-agent');
  if (agent !== undefined) attributes['user_agent.original'] = agent;
  return attributes;
}

/** Host and port that a request was meant for; the port is the scheme's when it names none. */
export function serverOf({ scheme, authority }: Request): { readonly host: string; readonly port: number } {
  const colon = authority.lastIndexOf(':');
  const hasPort = colon > 0 && !authority.endsWith(']');
  return {
    host: hasPort ? authority.slice(0, colon) : authority,
    port: hasPort ? Number(authority.slice(colon + 1)) : scheme === 'https' ? 443 : 80,
  };
}

/** What is known at the end only: which cluster and endpoint it was, and how often it was tried. */
export function endAttributes({
  attemptCount,
  clusterName,
  upstreamHost,
  flags,
  peerId,
}: Exchange): Attributes {
  const attributes: Record<string, AttributeValue> = {};
  if (attemptCount > 1) attributes['http.request.resend_count'] = attemptCount - 1;
  if (clusterName !== undefined) attributes['upstream_cluster'] = clusterName;
  if (upstreamHost !== undefined) attributes['network.peer.address'] = upstreamHost;
  if (flags.length > 0) attributes['response_flags'] = flags.join(',');
  if (peerId !== undefined) attributes['inmesh.peer.id'] = peerId;
  return attributes;
}
