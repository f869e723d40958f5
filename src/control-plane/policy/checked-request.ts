import type { PathRules } from '../../model/request-processing.js';
import { normalizePath } from '../../routing/normalize-path.js';
import { Abort } from '../../runtime/abort.js';
import { EMPTY_BODY } from '../../service/body.js';
import type { ConnectionInfo, TlsInfo } from '../../service/connection.js';
import { createExchange } from '../../service/context.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';

/** A request, or a connection, that one asks about. */
export interface CheckedRequest {
  readonly protocol: 'http' | 'tcp';
  readonly method?: string | undefined;
  /** Host, with or without a port. */
  readonly authority?: string | undefined;
  /** With its query. */
  readonly path?: string | undefined;
  readonly headers?: readonly (readonly [string, string])[] | undefined;
  /** SPIFFE ID of the caller, with or without `spiffe://`; undefined = it calls without TLS. */
  readonly principal?: string | undefined;
  readonly sourceIp?: string | undefined;
  /** The client that trusted proxies name. Default the source. */
  readonly remoteIp?: string | undefined;
  readonly destinationIp?: string | undefined;
  readonly port?: number | undefined;
  /** The name that the caller asked for in TLS. */
  readonly serverName?: string | undefined;
  /** Claims of a verified token; undefined = it has none. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

const SPIFFE = 'spiffe://';

/** The request as it would arrive where paths are treated so; undefined when its path would be refused. */
export function requestFor(asked: CheckedRequest, paths: PathRules): Request | undefined {
  const verdict = normalizePath(asked.path ?? '/', paths);
  if (asked.protocol === 'http' && verdict.kind === 'reject') return undefined;
  const context = createExchange('inbound', 0, 0);
  context.connection = connectionOf(asked);
  if (asked.claims !== undefined) {
    context.dynamicMetadata = new Map([['envoy.filters.http.jwt_authn', { payload: asked.claims }]]);
  }
  const isHttp = asked.protocol === 'http';
  return {
    method: isHttp ? (asked.method ?? 'GET').toUpperCase() : '',
    scheme: isHttp ? 'http' : '',
    authority: isHttp ? (asked.authority ?? '') : '',
    path: isHttp && verdict.kind !== 'reject' ? verdict.path : '',
    headers: HeaderMap.from(isHttp ? (asked.headers ?? []) : []),
    body: EMPTY_BODY,
    abort: new Abort(),
    context,
  };
}

function connectionOf(asked: CheckedRequest): ConnectionInfo {
  const { sourceIp = '127.0.0.1', remoteIp = sourceIp, destinationIp = '127.0.0.1', port = 0 } = asked;
  return {
    id: 0,
    directRemote: { address: sourceIp, port: 0 },
    remote: { address: remoteIp, port: 0 },
    local: { address: destinationIp, port },
    tls: asked.principal === undefined ? undefined : tlsOf(asked.principal, asked.serverName),
  };
}

function tlsOf(principal: string, serverName: string | undefined): TlsInfo {
  const uri = principal.startsWith(SPIFFE) ? principal : `${SPIFFE}${principal}`;
  const nothing = {
    dnsSans: [],
    subject: '',
    issuer: '',
    serial: '',
    sha256: '',
    notBeforeMs: 0,
    notAfterMs: 0,
    pem: '',
  };
  return {
    serverName,
    version: 'TLSv1.3',
    cipher: '',
    sessionId: undefined,
    alpn: undefined,
    peer: { uriSans: [uri], ...nothing },
    peerVerified: true,
    localUriSan: undefined,
  };
}
