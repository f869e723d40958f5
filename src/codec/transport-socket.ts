import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { DownstreamTls, UpstreamTls } from '../model/tls.js';
import { packAny } from '../proto/any.js';
import { core, rawBuffer, tls } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { at, type Path, refuse } from './path.js';
import { decodeDownstreamTls, decodeUpstreamTls, encodeDownstreamTls, encodeUpstreamTls } from './tls.js';

const TLS = 'envoy.transport_sockets.tls';
const RAW_BUFFER = 'envoy.transport_sockets.raw_buffer';

/** The client's TLS; undefined for plaintext, which is also what an absent transport socket means. */
export function decodeUpstreamSocket(
  socket: core.TransportSocket | undefined,
  path: Path,
): UpstreamTls | undefined {
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

/** The client's TLS as a message, or plaintext said aloud. */
export function encodeUpstreamSocket(model: UpstreamTls | undefined): core.TransportSocket {
  return model === undefined
    ? socketOf(RAW_BUFFER, rawBuffer.RawBufferSchema, create(rawBuffer.RawBufferSchema))
    : socketOf(TLS, tls.UpstreamTlsContextSchema, encodeUpstreamTls(model));
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
