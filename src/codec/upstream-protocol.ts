import { create } from '@bufbuild/protobuf';
import type { UpstreamProtocol } from '../model/upstream-protocol.js';
import { cluster, core, upstreamHttp } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeHttp2Options, encodeHttp2Options } from './http2-options.js';
import { at, type Path, refuse } from './path.js';

type Options = upstreamHttp.HttpProtocolOptions['upstreamProtocolOptions'];

const explicitFields = onlyFields(() => upstreamHttp.HttpProtocolOptions_ExplicitHttpConfigSchema, {
  enforced: ['http_protocol_options', 'http2_protocol_options'],
});
const autoFields = onlyFields(() => upstreamHttp.HttpProtocolOptions_AutoHttpConfigSchema, {
  enforced: ['http_protocol_options', 'http2_protocol_options'],
});
const downstreamFields = onlyFields(() => upstreamHttp.HttpProtocolOptions_UseDownstreamHttpConfigSchema, {
  enforced: ['http_protocol_options', 'http2_protocol_options'],
});
/** HTTP/1.1 without settings of its own is what the transports speak. */
const http1Fields = onlyFields(() => core.Http1ProtocolOptionsSchema, { enforced: [] });

/** What is spoken to the endpoints; undefined = HTTP/1.1, which is also what an absent choice means. */
export function decodeProtocol(
  { upstreamProtocolOptions: options }: upstreamHttp.HttpProtocolOptions,
  path: Path,
): UpstreamProtocol | undefined {
  switch (options.case) {
    case undefined:
      return undefined;
    case 'explicitHttpConfig':
      return decodeExplicit(options.value, at(path, 'explicit_http_config'));
    case 'autoConfig': {
      const autoPath = at(path, 'auto_config');
      autoFields(options.value, autoPath);
      return decodeEither('auto', options.value, autoPath);
    }
    case 'useDownstreamProtocolConfig': {
      const downstreamPath = at(path, 'use_downstream_protocol_config');
      downstreamFields(options.value, downstreamPath);
      return decodeEither('downstream', options.value, downstreamPath);
    }
    default:
      // The generated code knows no other.
      return options satisfies never;
  }
}

function decodeExplicit(
  message: upstreamHttp.HttpProtocolOptions_ExplicitHttpConfig,
  path: Path,
): UpstreamProtocol | undefined {
  explicitFields(message, path);
  const { protocolConfig } = message;
  if (protocolConfig.case === 'httpProtocolOptions') {
    http1Fields(protocolConfig.value, at(path, 'http_protocol_options'));
    return undefined;
  }
  if (protocolConfig.case !== 'http2ProtocolOptions') return refuse(path, 'is required');
  return {
    kind: 'http2',
    http2: decodeHttp2Options(protocolConfig.value, at(path, 'http2_protocol_options')),
  };
}

interface EitherConfig {
  readonly httpProtocolOptions?: core.Http1ProtocolOptions | undefined;
  readonly http2ProtocolOptions?: core.Http2ProtocolOptions | undefined;
}

function decodeEither(
  kind: 'auto' | 'downstream',
  { httpProtocolOptions, http2ProtocolOptions }: EitherConfig,
  path: Path,
): UpstreamProtocol {
  if (httpProtocolOptions !== undefined) http1Fields(httpProtocolOptions, at(path, 'http_protocol_options'));
  return { kind, http2: decodeHttp2Options(http2ProtocolOptions, at(path, 'http2_protocol_options')) };
}

/** What the deprecated fields of the cluster itself say. */
export function decodeLegacyProtocol(message: cluster.Cluster, path: Path): UpstreamProtocol | undefined {
  const { httpProtocolOptions: http1, http2ProtocolOptions: http2, protocolSelection } = message;
  const { USE_CONFIGURED_PROTOCOL, USE_DOWNSTREAM_PROTOCOL } = cluster.Cluster_ClusterProtocolSelection;
  if (protocolSelection === USE_DOWNSTREAM_PROTOCOL) return decodeEither('downstream', message, path);
  if (protocolSelection !== USE_CONFIGURED_PROTOCOL) {
    refuse(at(path, 'protocol_selection'), `has no value ${String(protocolSelection)}`);
  }
  // Envoy: which of both would hold?
  if (http1 !== undefined && http2 !== undefined) {
    refuse(
      at(path, 'http2_protocol_options'),
      'must not be combined with http_protocol_options unless protocol_selection is USE_DOWNSTREAM_PROTOCOL',
    );
  }
  if (http1 !== undefined) http1Fields(http1, at(path, 'http_protocol_options'));
  if (http2 === undefined) return undefined;
  return { kind: 'http2', http2: decodeHttp2Options(http2, at(path, 'http2_protocol_options')) };
}

/** Refuses negotiation by ALPN where some endpoints would not be spoken to by TLS. */
export function checkAuto(protocol: UpstreamProtocol | undefined, allTls: boolean, path: Path): void {
  if (protocol?.kind !== 'auto' || allTls) return;
  // Envoy: `ALPN configured for cluster ... which has a non-ALPN transport socket`.
  refuse(at(path, 'typed_extension_protocol_options'), 'auto_config needs TLS for every endpoint');
}

/** The choice as a message. */
export function encodeProtocol(protocol: UpstreamProtocol | undefined): Options {
  if (protocol === undefined) {
    const value = create(upstreamHttp.HttpProtocolOptions_ExplicitHttpConfigSchema, {
      protocolConfig: { case: 'httpProtocolOptions', value: create(core.Http1ProtocolOptionsSchema) },
    });
    return { case: 'explicitHttpConfig', value };
  }
  const http2ProtocolOptions = encodeHttp2Options(protocol.http2);
  switch (protocol.kind) {
    case 'http2': {
      const value = create(upstreamHttp.HttpProtocolOptions_ExplicitHttpConfigSchema, {
        protocolConfig: { case: 'http2ProtocolOptions', value: http2ProtocolOptions },
      });
      return { case: 'explicitHttpConfig', value };
    }
    case 'auto':
      return {
        case: 'autoConfig',
        value: create(upstreamHttp.HttpProtocolOptions_AutoHttpConfigSchema, { http2ProtocolOptions }),
      };
    case 'downstream':
      return {
        case: 'useDownstreamProtocolConfig',
        value: create(upstreamHttp.HttpProtocolOptions_UseDownstreamHttpConfigSchema, {
          http2ProtocolOptions,
        }),
      };
  }
}
