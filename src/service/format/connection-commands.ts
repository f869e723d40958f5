import type { ConnectionInfo, SocketEnd, TlsInfo } from '../connection.js';
import type { Exchange, UpstreamInfo } from '../context.js';
import { type CommandType, plain } from './input.js';
import { compileTimeFormat } from './time-format.js';

/** `address:port` as Envoy writes it; a Unix socket by its path. */
function formatEnd(end: SocketEnd | undefined): string | undefined {
  if (end === undefined) return undefined;
  if (end.address.startsWith('/')) return end.address;
  return end.address.includes(':') ? `[${end.address}]:${end.port}` : `${end.address}:${end.port}`;
}

type EndReader = (exchange: Exchange) => SocketEnd | undefined;

function ends(prefix: string, read: EndReader): Record<string, CommandType> {
  return {
    [`${prefix}_ADDRESS`]: plain(({ exchange }) => formatEnd(read(exchange))),
    [`${prefix}_ADDRESS_WITHOUT_PORT`]: plain(({ exchange }) => read(exchange)?.address),
    [`${prefix}_PORT`]: plain(({ exchange }) => read(exchange)?.port),
    [`${prefix}_ADDRESS_ENDPOINT_ID`]: plain(() => undefined),
  };
}

type TlsReader = (exchange: Exchange) => TlsInfo | undefined;

const listed = (values: readonly string[] | undefined): string | undefined =>
  values === undefined || values.length === 0 ? undefined : values.join(',');

/** What is read of a peer's certificate, the same on both sides of this process. */
function certificates(prefix: string, tls: TlsReader): Record<string, CommandType> {
  const peer = (name: string, read: (info: NonNullable<TlsInfo['peer']>) => unknown) => ({
    [`${prefix}_PEER_${name}`]: plain(({ exchange }) => {
      const info = tls(exchange)?.peer;
      return info && read(info);
    }),
  });
  return {
    ...peer('URI_SAN', ({ uriSans }) => listed(uriSans)),
    ...peer('DNS_SAN', ({ dnsSans }) => listed(dnsSans)),
    ...peer('IP_SAN', () => undefined),
    ...peer('EMAIL_SAN', () => undefined),
    ...peer('OTHERNAME_SAN', () => undefined),
    ...peer('SUBJECT', ({ subject }) => subject || undefined),
    ...peer('ISSUER', ({ issuer }) => issuer || undefined),
    ...peer('SERIAL', ({ serial }) => serial.toLowerCase()),
    ...peer('FINGERPRINT_256', ({ sha256 }) => sha256.toLowerCase()),
    ...peer('FINGERPRINT_1', () => undefined),
    ...peer('CHAIN_FINGERPRINTS_256', ({ sha256 }) => sha256.toLowerCase()),
    ...peer('CERT', ({ pem }) => encodeURIComponent(pem)),
    [`${prefix}_PEER_CERT_V_START`]: validity(tls, 'notBeforeMs'),
    [`${prefix}_PEER_CERT_V_END`]: validity(tls, 'notAfterMs'),
    [`${prefix}_LOCAL_URI_SAN`]: plain(({ exchange }) => tls(exchange)?.localUriSan),
    [`${prefix}_LOCAL_DNS_SAN`]: plain(() => undefined),
    [`${prefix}_LOCAL_IP_SAN`]: plain(() => undefined),
    [`${prefix}_LOCAL_SUBJECT`]: plain(() => undefined),
    [`${prefix}_TLS_VERSION`]: plain(({ exchange }) => tls(exchange)?.version),
    [`${prefix}_TLS_CIPHER`]: plain(({ exchange }) => tls(exchange)?.cipher),
    [`${prefix}_TLS_SESSION_ID`]: plain(({ exchange }) => tls(exchange)?.sessionId),
    [`${prefix}_ALPN`]: plain(({ exchange }) => tls(exchange)?.alpn),
  };
}

const CERTIFICATE_TIME = '%Y-%m-%dT%H:%M:%E3SZ';

function validity(tls: TlsReader, field: 'notBeforeMs' | 'notAfterMs'): CommandType {
  return {
    argument: 'optional',
    length: false,
    make: (argument) => {
      const format = compileTimeFormat(argument || CERTIFICATE_TIME, false);
      return ({ exchange }) => {
        const at = tls(exchange)?.peer?.[field];
        return at === undefined ? undefined : format(at);
      };
    },
  };
}

const down = (read: (connection: ConnectionInfo) => SocketEnd | undefined): EndReader => {
  return ({ connection }) => connection && read(connection);
};

const up = (read: (upstream: UpstreamInfo) => unknown): CommandType =>
  plain(({ exchange: { upstream } }) => upstream && read(upstream));

function upstreamEnd({ upstream, upstreamHost }: Exchange): SocketEnd | undefined {
  const text = upstream?.address ?? upstreamHost;
  if (text === undefined) return undefined;
  const colon = text.lastIndexOf(':');
  if (text.startsWith('/') || colon < 0) return { address: text, port: 0 };
  return { address: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

const withoutPort = (host: string | undefined): string | undefined => host?.replace(/:\d+$/, '') || undefined;

/** Commands about the connections on both sides of this process. */
export const CONNECTION_COMMANDS: Readonly<Record<string, CommandType>> = {
  ...ends(
    'DOWNSTREAM_REMOTE',
    down(({ remote, directRemote }) => remote ?? directRemote),
  ),
  ...ends(
    'DOWNSTREAM_DIRECT_REMOTE',
    down(({ directRemote }) => directRemote),
  ),
  ...ends(
    'DOWNSTREAM_LOCAL',
    down(({ local }) => local),
  ),
  ...ends(
    'DOWNSTREAM_DIRECT_LOCAL',
    down(({ local }) => local),
  ),
  ...certificates('DOWNSTREAM', ({ connection }) => connection?.tls),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: plain(() => undefined),
  CONNECTION_ID: plain(({ exchange }) => exchange.connection?.id),
  REQUESTED_SERVER_NAME: plain(({ exchange }) => exchange.connection?.tls?.serverName || undefined),
  ...ends('UPSTREAM_REMOTE', upstreamEnd),
  ...ends('UPSTREAM_LOCAL', ({ upstream }) => upstream?.local),
  ...certificates('UPSTREAM', ({ upstream }) => upstream?.tls),
  UPSTREAM_HOST: plain(({ exchange }) => exchange.upstream?.address ?? exchange.upstreamHost),
  UPSTREAM_HOST_NAME: up(({ hostname, address }) => hostname || address),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: up(({ hostname, address }) => withoutPort(hostname || address)),
  UPSTREAM_CLUSTER: plain(({ exchange }) => exchange.clusterName),
  UPSTREAM_CLUSTER_RAW: plain(({ exchange }) => exchange.clusterName),
  UPSTREAM_PROTOCOL: plain(({ exchange }) => exchange.upstreamProtocol ?? exchange.upstream?.protocol),
  UPSTREAM_CONNECTION_ID: up(() => undefined),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: plain(({ exchange }) => exchange.attemptCount),
  UPSTREAM_TRANSPORT_FAILURE_REASON: plain(({ exchange }) => exchange.transportFailure?.replaceAll(' ', '_')),
};
