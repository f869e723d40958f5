import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ExtAuthzConfig } from '../../model/ext-authz.js';
import { authService, core } from '../../proto/xds.js';
import type { ConnectionInfo, SocketEnd, TlsInfo } from '../../service/connection.js';
import type { Exchange } from '../../service/context.js';
import type { Request } from '../../service/service.js';
import type { FilterTools } from '../filter.js';
import type { AuthzContext } from './authorize.js';
import { headersFor, type NameTest } from './request-view.js';

type Init<M> = M extends { readonly $typeName: string } ? Record<string, unknown> : never;
type PeerInit = MessageInitShape<typeof authService.AttributeContext_PeerSchema>;
type HttpInit = MessageInitShape<typeof authService.AttributeContext_HttpRequestSchema>;

/** What the service is asked about a request (`envoy.service.auth.v3.CheckRequest`). */
export function checkRequest(
  request: Request,
  context: AuthzContext,
  config: ExtAuthzConfig,
  isVisible: NameTest,
  { clock }: FilterTools,
): authService.CheckRequest {
  const { connection, dynamicMetadata, routeMetadata } = request.context;
  const tls = connection?.tls;
  const startMs = clock.wallTime() - (clock.now() - request.context.startMs);
  const attributes: MessageInitShape<typeof authService.AttributeContextSchema> = {
    source: sourcePeer(request, config),
    destination: ownPeer(connection),
    request: {
      time: timestampFromMs(Math.floor(startMs)),
      http: httpRequest(request, context, config, isVisible),
    },
    contextExtensions: { ...context.extensions },
    metadataContext: metadataOf(config.metadataNamespaces, (name) => dynamicMetadata?.get(name)),
    routeMetadataContext: metadataOf(config.routeMetadataNamespaces, (name) => routeMetadata?.[name]),
  };
  if (config.includeTlsSession && tls !== undefined) attributes.tlsSession = { sni: tls.serverName ?? '' };
  return create(authService.CheckRequestSchema, { attributes });
}

/** What the service is asked about a connection that brings no requests. */
export function connectionCheck(
  { connection }: Exchange,
  config: Pick<ExtAuthzConfig, 'includePeerCertificate' | 'includeTlsSession'>,
): authService.CheckRequest {
  const attributes: MessageInitShape<typeof authService.AttributeContextSchema> = {
    source: callerPeer(connection, config),
    destination: ownPeer(connection),
  };
  const tls = connection?.tls;
  if (config.includeTlsSession && tls !== undefined) attributes.tlsSession = { sni: tls.serverName ?? '' };
  return create(authService.CheckRequestSchema, { attributes });
}

function ownPeer(connection: ConnectionInfo | undefined): PeerInit {
  const principal = connection?.tls?.localUriSan;
  return { ...addressOf(connection?.local), ...(principal !== undefined && { principal }) };
}

function callerPeer(
  connection: ConnectionInfo | undefined,
  config: Pick<ExtAuthzConfig, 'includePeerCertificate'>,
): PeerInit {
  const tls = connection?.tls;
  const certificate = config.includePeerCertificate ? tls?.peer?.pem : undefined;
  return {
    ...addressOf(connection?.directRemote ?? connection?.remote),
    principal: principalOf(tls),
    ...(certificate !== undefined && { certificate: encodeURIComponent(certificate) }),
  };
}

function sourcePeer({ context: { connection }, headers }: Request, config: ExtAuthzConfig): PeerInit {
  const service = headers.get('x-envoy-downstream-service-cluster') ?? '';
  return { ...callerPeer(connection, config), service };
}

/** Envoy: the first URI, else the first DNS name, else the subject of the peer's certificate. */
function principalOf(tls: TlsInfo | undefined): string {
  const peer = tls?.peer;
  return peer?.uriSans[0] ?? peer?.dnsSans[0] ?? peer?.subject ?? '';
}

function addressOf(end: SocketEnd | undefined): PeerInit {
  if (end === undefined) return {};
  const address =
    end.port === 0
      ? { case: 'pipe' as const, value: create(core.PipeSchema, { path: end.address }) }
      : {
          case: 'socketAddress' as const,
          value: create(core.SocketAddressSchema, {
            address: end.address,
            portSpecifier: { case: 'portValue', value: end.port },
          }),
        };
  return { address: { address } };
}

function httpRequest(
  request: Request,
  { body }: AuthzContext,
  config: ExtAuthzConfig,
  isVisible: NameTest,
): HttpInit {
  const { method, path, authority, scheme, context } = request;
  const seen = headersFor(request, isVisible, body);
  const init: HttpInit = {
    id: request.headers.get('x-request-id') ?? '',
    method,
    path,
    host: authority,
    scheme,
    size: BigInt(body?.bytes.byteLength ?? context.requestBytes),
    protocol: context.protocol ?? '',
  };
  if (config.encodeRawHeaders) {
    const headers = [...seen].map(([key, value]) => ({ key, rawValue: Buffer.from(value, 'latin1') }));
    init.headerMap = { headers };
  } else {
    init.headers = Object.fromEntries([...seen].map(([key, value]) => [key, wellFormed(value)]));
  }
  if (body === undefined) return init;
  if (config.body?.packAsBytes === true) init.rawBody = new Uint8Array(body.bytes);
  else init.body = Buffer.from(body.bytes).toString('utf8');
  return init;
}

/** Header values are bytes; protobuf's strings are UTF-8. */
function wellFormed(value: string): string {
  return NOT_ASCII.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is exactly this range.
const NOT_ASCII = /[^\x00-\x7f]/;

function metadataOf(
  namespaces: readonly string[],
  read: (namespace: string) => unknown,
): MessageInitShape<typeof core.MetadataSchema> {
  const filterMetadata: Record<string, Init<core.Metadata>> = {};
  for (const namespace of namespaces) {
    const value = read(namespace);
    // JSON drops what a Struct can't hold.
    if (value !== undefined) filterMetadata[namespace] = JSON.parse(JSON.stringify(value));
  }
  return { filterMetadata } as MessageInitShape<typeof core.MetadataSchema>;
}
