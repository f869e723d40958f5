import type { JwtProvider } from '../../model/jwt-authn.js';
import type { PathRules } from '../../model/request-processing.js';
import { normalizePath } from '../../routing/normalize-path.js';
import { isUntrusted } from '../../routing/untrusted-headers.js';
import { Abort } from '../../runtime/abort.js';
import { EMPTY_BODY } from '../../service/body.js';
import type { ConnectionInfo, TlsInfo } from '../../service/connection.js';
import { createExchange } from '../../service/context.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';
import { takeToken } from './checked-token.js';

/** A request, or a connection, that one asks about. */
export interface CheckedRequest {
  readonly protocol: 'http' | 'tcp';
  /** Case counts. Default GET. */
  readonly method?: string | undefined;
  /** Host, with or without a port; a header `host` goes before it. */
  readonly authority?: string | undefined;
  /** With its query. */
  readonly path?: string | undefined;
  readonly headers?: readonly (readonly [string, string])[] | undefined;
  /** SPIFFE ID of the caller, with or without `spiffe://`; undefined = it shows no certificate. */
  readonly principal?: string | undefined;
  readonly sourceIp?: string | undefined;
  /** The client that trusted proxies name. Default the source. */
  readonly remoteIp?: string | undefined;
  readonly destinationIp?: string | undefined;
  readonly port?: number | undefined;
  /** The name that the caller asked for in TLS; undefined and without a principal = it calls without TLS. */
  readonly serverName?: string | undefined;
  /** Claims of a verified token of a request; undefined = it has none. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

const SPIFFE = 'spiffe://';

/** The request as the filters of rules meet it; undefined when it is answered before. */
export function requestFor(
  asked: CheckedRequest,
  { paths, tokens }: { readonly paths: PathRules; readonly tokens: readonly JwtProvider[] },
): Request | undefined {
  return asked.protocol === 'tcp' ? connectionFor(asked) : httpRequestFor(asked, paths, tokens);
}

/** Envoy: rules that ask for headers or a path see none. */
function connectionFor(asked: CheckedRequest): Request {
  return bareRequest(asked, { method: '', scheme: '', authority: '', path: '', headers: HeaderMap.empty() });
}

function httpRequestFor(
  asked: CheckedRequest,
  paths: PathRules,
  tokens: readonly JwtProvider[],
): Request | undefined {
  const verdict = normalizePath(asked.path ?? '/', paths);
  if (verdict.kind !== 'continue') return undefined;
  const headers = headersOf(asked);
  const { method = 'GET', claims } = asked;
  const authority = headers.get('host') ?? asked.authority ?? '';
  const request = bareRequest(asked, { method, scheme: 'http', authority, path: verdict.path, headers });
  takeToken(request, claims, tokens);
  return request;
}

/** What a member lets callers say: of those without an identity less, and of nobody who they are. */
function headersOf({ headers = [], principal }: CheckedRequest): HeaderMap {
  const kept = HeaderMap.from(
    headers.filter(([name]) => principal !== undefined || !isUntrusted(name.toLowerCase())),
  );
  kept.delete('x-forwarded-client-cert');
  // The rest of the element is about certificates, which nobody can tell here.
  if (principal !== undefined) kept.set('x-forwarded-client-cert', `URI=${uriOf(principal)}`);
  return kept;
}

function bareRequest(
  asked: CheckedRequest,
  head: Pick<Request, 'method' | 'scheme' | 'authority' | 'path' | 'headers'>,
): Request {
  const context = createExchange('inbound', 0, 0);
  context.connection = connectionOf(asked);
  return { ...head, body: EMPTY_BODY, abort: new Abort(), context };
}

function connectionOf(asked: CheckedRequest): ConnectionInfo {
  const { sourceIp = '127.0.0.1', remoteIp = sourceIp, destinationIp = '127.0.0.1', port = 0 } = asked;
  const { principal, serverName } = asked;
  return {
    id: 0,
    directRemote: { address: sourceIp, port: 0 },
    remote: { address: remoteIp, port: 0 },
    local: { address: destinationIp, port },
    tls: principal === undefined && serverName === undefined ? undefined : tlsOf(principal, serverName),
  };
}

function tlsOf(principal: string | undefined, serverName: string | undefined): TlsInfo {
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
    peer: principal === undefined ? undefined : { uriSans: [uriOf(principal)], ...nothing },
    peerVerified: principal !== undefined,
    localUriSan: undefined,
  };
}

function uriOf(principal: string): string {
  return principal.startsWith(SPIFFE) ? principal : `${SPIFFE}${principal}`;
}
