import { BlockList, isIP, isIPv6 } from 'node:net';
import type { AddressRange, RequestProcessing } from '../model/request-processing.js';
import { appendForwardedFor, type ForwardedClient, lastForwardedFor } from '../routing/forwarded-for.js';
import { normalizePath } from '../routing/normalize-path.js';
import { EDGE_HEADERS, MESH_HEADERS } from '../routing/untrusted-headers.js';
import type { ConnectionInfo, SocketEnd } from '../service/connection.js';
import { localReply } from '../service/local-reply.js';
import { changeHead } from '../service/response-head.js';
import type { Filter, Request, Response } from '../service/service.js';
import type { LocalNode } from './filter.js';

export interface ProcessingTools {
  readonly node: LocalNode;
  /** A new request id. */
  readonly uuid: () => string;
  /** Headers of the route table that only internal requests may carry. */
  readonly internalOnlyHeaders: readonly string[];
}

/**
 * Envoy's connection manager before routing: hop-by-hop headers, the client's address, internal requests, request ids,
 * the path; after it, the `server` header.
 */
export function processRequests(rules: RequestProcessing, tools: ProcessingTools): Filter {
  const isInternalAddress = compileRanges(rules);
  return (request, next) => {
    const verdict = changeTarget(request, rules);
    if (verdict !== undefined) return Promise.resolve(verdict);
    mutateRequest(request, rules, tools, isInternalAddress);
    const { server, requestIdInResponse } = rules;
    if (server === undefined && !requestIdInResponse) return next(request);
    const id = requestIdInResponse ? request.headers.get('x-request-id') : undefined;
    return changeHead(request, next, ({ headers }) => {
      if (server !== undefined && (server.overwrite || !headers.has('server')))
        headers.set('server', server.name);
      if (id !== undefined) headers.set('x-request-id', id);
    });
  };
}

/** Changes headers and what is known of the client. Gives whether the request is internal. */
export function mutateRequest(
  request: Request,
  rules: RequestProcessing,
  tools: ProcessingTools,
  isInternalAddress: (address: string) => boolean = compileRanges(rules),
): boolean {
  const { headers, context } = request;
  const { connection } = context;
  sanitizeHopByHop(request);
  const isTls = request.scheme === 'https';
  const client = findClient(request, rules, isTls);
  const address = client.address ?? connection?.directRemote?.address;
  setScheme(request, rules, isTls);
  setForwardedPort(request, rules);
  const isInternal = client.isOnly && client.address !== undefined && isInternalAddress(client.address);
  const isEdge = !isInternal && rules.useRemoteAddress;
  if (isInternal) headers.set('x-envoy-internal', 'true');
  else stripUntrusted(request, isEdge, tools.internalOnlyHeaders);
  if (isEdge && address !== undefined) headers.set('x-envoy-external-address', address);
  if (rules.addUserAgent) setUserAgent(request, tools.node);
  if (rules.via !== '') appendList(request, 'via', rules.via);
  if (rules.generateRequestId) {
    const isForced = isEdge && !rules.preserveExternalRequestId;
    if (isForced || !headers.has('x-request-id')) headers.set('x-request-id', tools.uuid());
  }
  if (
    connection !== undefined &&
    client.address !== undefined &&
    client.address !== connection.directRemote?.address
  ) {
    context.connection = withRemote(connection, { address: client.address, port: 0 });
  }
  return isInternal;
}

function findClient(request: Request, rules: RequestProcessing, isTls: boolean): ForwardedClient {
  const { headers, context } = request;
  const peer = context.connection?.directRemote?.address;
  const { xffNumTrustedHops: hops } = rules;
  if (!rules.useRemoteAddress) {
    if (!headers.has('x-forwarded-proto')) headers.set('x-forwarded-proto', isTls ? 'https' : 'http');
    return lastForwardedFor(headers, hops);
  }
  const isFirst = !headers.has('x-forwarded-for');
  const trusted = hops > 0 ? lastForwardedFor(headers, hops - 1).address : undefined;
  if (!rules.skipXffAppend && peer !== undefined) {
    // Envoy: a loopback peer says nothing to others, so our own address stands for it.
    const local = context.connection?.local?.address;
    appendForwardedFor(headers, isLoopback(peer) && local !== undefined ? local : peer);
  }
  if (hops === 0 || !headers.has('x-forwarded-proto')) {
    headers.set('x-forwarded-proto', isTls ? 'https' : 'http');
  }
  return { address: trusted ?? peer, isOnly: isFirst };
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function setScheme(request: Request, { scheme }: RequestProcessing, isTls: boolean): void {
  const { headers } = request;
  if (scheme !== undefined) {
    request.scheme = scheme;
    headers.set('x-forwarded-proto', scheme);
    return;
  }
  const forwarded = headers.get('x-forwarded-proto')?.toLowerCase();
  request.scheme = forwarded === 'http' || forwarded === 'https' ? forwarded : isTls ? 'https' : 'http';
}

function setForwardedPort({ headers, context }: Request, rules: RequestProcessing): void {
  const port = context.connection?.local?.port;
  if (!rules.appendForwardedPort || port === undefined) return;
  const isUntrusted = rules.useRemoteAddress && rules.xffNumTrustedHops === 0;
  if (isUntrusted || !headers.has('x-forwarded-port')) headers.set('x-forwarded-port', String(port));
}

function sanitizeHopByHop({ headers }: Request): void {
  const isUpgrade = headers.has('upgrade') && /\bupgrade\b/i.test(headers.get('connection') ?? '');
  if (!isUpgrade) {
    headers.delete('connection');
    headers.delete('upgrade');
  }
  const te = headers.get('te');
  if (te !== undefined) {
    const keeps = te.split(',').some((one) => one.trim().split(';', 1)[0]?.toLowerCase() === 'trailers');
    if (keeps) headers.set('te', 'trailers');
    else headers.delete('te');
  }
  for (const name of ['keep-alive', 'proxy-connection', 'x-envoy-internal']) headers.delete(name);
  const referers = headers.getAll('referer');
  if (referers.length > 1 || !referers.every(isReferer)) headers.delete('referer');
}

/** Envoy: an absolute URL without user and fragment, or a relative reference without fragment. */
function isReferer(value: string): boolean {
  const [, authority] = /^https?:\/\/([^/?#]*)/i.exec(value) ?? [];
  if (authority !== undefined) return authority !== '' && !authority.includes('@') && !value.includes('#');
  return /^[^:/?#\s]*(?:\/[^#\s]*)?$/.test(value);
}

/** What only callers within the mesh may ask for. */
function stripUntrusted({ headers }: Request, isEdge: boolean, internalOnly: readonly string[]): void {
  for (const name of MESH_HEADERS) headers.delete(name);
  for (const name of internalOnly) headers.delete(name);
  if (isEdge) for (const name of EDGE_HEADERS) headers.delete(name);
}

function setUserAgent({ headers }: Request, node: LocalNode): void {
  headers.set('x-envoy-downstream-service-cluster', node.cluster);
  if ((headers.get('user-agent') ?? '') === '') headers.set('user-agent', node.cluster);
  headers.set('x-envoy-downstream-service-node', node.id);
}

function appendList({ headers }: Request, name: string, value: string): void {
  const known = headers.getAll(name).join(', ');
  headers.set(name, known === '' ? value : `${known}, ${value}`);
}

/** The same connection with another client. */
function withRemote(connection: ConnectionInfo, remote: SocketEnd): ConnectionInfo {
  return {
    id: connection.id,
    directRemote: connection.directRemote,
    remote,
    local: connection.local,
    get tls() {
      return connection.tls;
    },
  };
}

/** Host and path; an answer when the path is refused or the client is sent elsewhere. */
function changeTarget(request: Request, rules: RequestProcessing): Response | undefined {
  changeHost(request, rules);
  if (request.method === 'CONNECT') return undefined;
  const verdict = normalizePath(request.path, rules);
  if (verdict.kind === 'continue') {
    request.path = verdict.path;
    return undefined;
  }
  const reply = { body: '', details: 'path_normalization_failed', reason: 'INMESH_PATH_REFUSED' };
  if (verdict.kind === 'reject') return localReply(request, { ...reply, status: 400 });
  return localReply(request, {
    ...reply,
    status: 307,
    details: 'path_normalization_redirect',
    headers: [['location', verdict.path]],
  });
}

function changeHost(request: Request, { stripHostPort, stripTrailingHostDot }: RequestProcessing): void {
  const [, name = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(request.authority) ?? [];
  if (name === '') return;
  const own = request.context.connection?.local?.port;
  const drops = stripHostPort === 'any' || (stripHostPort === 'matching' && port === String(own));
  const host = stripTrailingHostDot ? name.replace(/\.$/, '') : name;
  request.authority = port === undefined || drops ? host : `${host}:${port}`;
}

/** Whether an address is internal. */
export function compileRanges(
  rules: Pick<RequestProcessing, 'internalAddresses' | 'internalUnixSockets'>,
): (address: string) => boolean {
  const list = rangeList(rules.internalAddresses);
  return (address) => {
    if (isIP(address) === 0) return rules.internalUnixSockets && address.startsWith('/');
    return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  };
}

function rangeList(ranges: readonly AddressRange[]): BlockList {
  const list = new BlockList();
  for (const { address, prefixLength } of ranges) {
    list.addSubnet(address, prefixLength, isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return list;
}
