import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { DownstreamTls, ProxyProtocolVersion, UpstreamTls } from '../model/tls.js';
import { packAny } from '../proto/any.js';
import { core, proxyProtocol, rawBuffer, tls } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeDownstreamTls, decodeUpstreamTls, encodeDownstreamTls, encodeUpstreamTls } from './tls.js';

const TLS = 'envoy.transport_sockets.tls';
const PROXY_PROTOCOL = 'envoy.transport_sockets.upstream_proxy_protocol';
const RAW_BUFFER = 'envoy.transport_sockets.raw_buffer';

/** What a client's connections are: TLS or plaintext, after a PROXY protocol header or not. */
export interface UpstreamSocket {
  /** Undefined for plaintext, which is also what an absent transport socket means. */
  readonly tls: UpstreamTls | undefined;
  readonly proxyProtocol: ProxyProtocolVersion | undefined;
}

const wrapperFields = onlyFields(() => proxyProtocol.ProxyProtocolUpstreamTransportSchema, {
  enforced: ['config', 'transport_socket'],
});

const headerFields = onlyFields(() => core.ProxyProtocolConfigSchema, { enforced: ['version'] });

/** The client's socket. */
export function decodeUpstreamSocket(socket: core.TransportSocket | undefined, path: Path): UpstreamSocket {
  const wrapper =
    socket?.configType.case === 'typedConfig'
      ? decodeAny(
          proxyProtocol.ProxyProtocolUpstreamTransportSchema,
          socket.configType.value,
          at(path, 'typed_config'),
        )
      : undefined;
  if (wrapper === undefined) return { tls: decodeClientTls(socket, path), proxyProtocol: undefined };
  const wrapperPath = at(path, 'typed_config');
  wrapperFields(wrapper, wrapperPath);
  const innerPath = at(wrapperPath, 'transport_socket');
  return {
    tls: decodeClientTls(required(wrapper.transportSocket, innerPath), innerPath),
    proxyProtocol: decodeVersion(wrapper.config, at(wrapperPath, 'config')),
  };
}

function decodeVersion(config: core.ProxyProtocolConfig | undefined, path: Path): ProxyProtocolVersion {
  if (config === undefined) return 'v1';
  headerFields(config, path);
  const { V1, V2 } = core.ProxyProtocolConfig_Version;
  if (config.version === V1) return 'v1';
  return config.version === V2 ? 'v2' : refuse(at(path, 'version'), `has no value ${String(config.version)}`);
}

function decodeClientTls(socket: core.TransportSocket | undefined, path: Path): UpstreamTls | undefined {
  return socket && decodeSocket(socket, tls.UpstreamTlsContextSchema, decodeUpstreamTls, path);
}

/** The server's TLS; undefined for plaintext, which is also what an absent transport socket means. */
export function decodeDownstreamSocket(
  socket: core.TransportSocket | undefined,
  path: Path,
): DownstreamTls | undefined {
  return socket && decodeSocket(socket, tls.DownstreamTlsContextSchema, decodeDownstreamTls, path);
}

function decodeSocket<T, Desc extends DescMessage>(
  { name, configType }: core.TransportSocket,
  schema: Desc,
  decode: (context: MessageShape<Desc>, path: Path) => T,
  path: Path,
): T | undefined {
  const configPath = at(path, 'typed_config');
  // Envoy: raw_buffer has no settings, so its name alone will do.
  if (configType.case === undefined) {
    return name === RAW_BUFFER ? undefined : refuse(configPath, 'is required');
  }
  const context = decodeAny(schema, configType.value, configPath);
  if (context !== undefined) return decode(context, configPath);
  if (decodeAny(rawBuffer.RawBufferSchema, configType.value, configPath) !== undefined) return undefined;
  return refuse(
    path,
    `the transport socket ${JSON.stringify(configType.value.typeUrl)} is not supported here`,
  );
}

/** The client's socket as a message; plaintext is said aloud. */
export function encodeUpstreamSocket(model: Partial<UpstreamSocket>): core.TransportSocket {
  const { proxyProtocol: version } = model;
  const inner =
    model.tls === undefined
      ? socketOf(RAW_BUFFER, rawBuffer.RawBufferSchema, create(rawBuffer.RawBufferSchema))
      : socketOf(TLS, tls.UpstreamTlsContextSchema, encodeUpstreamTls(model.tls));
  if (version === undefined) return inner;
  const { V1, V2 } = core.ProxyProtocolConfig_Version;
  const schema = proxyProtocol.ProxyProtocolUpstreamTransportSchema;
  const config = { version: version === 'v1' ? V1 : V2 };
  return socketOf(PROXY_PROTOCOL, schema, create(schema, { config, transportSocket: inner }));
}

/** The server's TLS as a message. */
export function encodeDownstreamSocket(model: DownstreamTls): core.TransportSocket {
  return socketOf(TLS, tls.DownstreamTlsContextSchema, encodeDownstreamTls(model));
}

function socketOf<Desc extends DescMessage>(
  name: string,
  schema: Desc,
  message: MessageShape<Desc>,
): core.TransportSocket {
  return create(core.TransportSocketSchema, {
    name,
    configType: { case: 'typedConfig', value: packAny(schema, message) },
  });
}
