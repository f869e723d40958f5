import { create } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.js';
import type { UpstreamProtocol } from '../model/upstream-protocol.js';
import { packAny } from '../proto/any.js';
import { type cluster, core, upstreamHttp, type wkt } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeOutlierStatuses, encodeOutlierStatuses } from './outlier-statuses.js';
import { at, atKey, type Path, refuse } from './path.js';
import { decodeLegacyProtocol, decodeProtocol, encodeProtocol } from './upstream-protocol.js';

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** Envoy: an idle connection lives 1 h. */
const DEFAULT_IDLE_MS = 3_600_000;

const optionsFields = onlyFields(() => upstreamHttp.HttpProtocolOptionsSchema, {
  enforced: [
    'common_http_protocol_options',
    'upstream_http_protocol_options',
    'explicit_http_config',
    'auto_config',
    'use_downstream_protocol_config',
    'outlier_detection',
  ],
});

const commonFields = onlyFields(() => core.HttpProtocolOptionsSchema, {
  enforced: ['idle_timeout', 'max_requests_per_connection', 'max_connection_duration', 'max_stream_duration'],
});

type ConnectionLimits = Pick<
  Cluster,
  'idleTimeoutMs' | 'maxRequestsPerConnection' | 'maxConnectionDurationMs' | 'maxStreamDurationMs'
>;
type AutoNames = Pick<Cluster, 'autoSni' | 'autoSanValidation'>;
type ProtocolOptions = ConnectionLimits &
  AutoNames &
  Pick<Cluster, 'outlierStatuses'> & { readonly protocol: UpstreamProtocol | undefined };

/**
 * How long and for how many requests an upstream connection lives. The options stand in an extension; the deprecated
 * fields on the cluster itself count only without it (Envoy).
 */
export function decodeProtocolOptions(message: cluster.Cluster, path: Path): ProtocolOptions {
  const field = 'typed_extension_protocol_options';
  for (const key of Object.keys(message.typedExtensionProtocolOptions)) {
    if (key !== HTTP_OPTIONS) refuse(atKey(path, field, key), 'is not supported');
  }
  const any = message.typedExtensionProtocolOptions[HTTP_OPTIONS];
  if (any !== undefined) return decodeOptions(any, atKey(path, field, HTTP_OPTIONS));
  const limits = {
    ...decodeCommon(message.commonHttpProtocolOptions, at(path, 'common_http_protocol_options')),
    ...decodeAutoNames(message.upstreamHttpProtocolOptions, at(path, 'upstream_http_protocol_options')),
    protocol: decodeLegacyProtocol(message, path),
  };
  const own = message.maxRequestsPerConnection;
  return own === undefined ? limits : { ...limits, maxRequestsPerConnection: own };
}

function decodeOptions(any: wkt.Any, path: Path): ProtocolOptions {
  const options =
    decodeAny(upstreamHttp.HttpProtocolOptionsSchema, any, path) ?? refuse(path, `must be ${HTTP_OPTIONS}`);
  optionsFields(options, path);
  return {
    ...decodeCommon(options.commonHttpProtocolOptions, at(path, 'common_http_protocol_options')),
    ...decodeAutoNames(options.upstreamHttpProtocolOptions, at(path, 'upstream_http_protocol_options')),
    ...decodeOutlierStatuses(options.outlierDetection, at(path, 'outlier_detection')),
    protocol: decodeProtocol(options, path),
  };
}

const upstreamFields = onlyFields(() => core.UpstreamHttpProtocolOptionsSchema, {
  enforced: ['auto_sni', 'auto_san_validation'],
});

function decodeAutoNames(options: core.UpstreamHttpProtocolOptions | undefined, path: Path): AutoNames {
  if (options === undefined) return {};
  upstreamFields(options, path);
  const { autoSni, autoSanValidation } = options;
  // Envoy would compare with a name that it never sends.
  if (autoSanValidation && !autoSni) refuse(at(path, 'auto_san_validation'), 'needs auto_sni');
  return { autoSni: autoSni || undefined, autoSanValidation: autoSanValidation || undefined };
}

function decodeCommon(options: core.HttpProtocolOptions | undefined, path: Path): ConnectionLimits {
  if (options === undefined) return { idleTimeoutMs: DEFAULT_IDLE_MS, maxRequestsPerConnection: 0 };
  commonFields(options, path);
  return {
    idleTimeoutMs: decodeOptionalDuration(options.idleTimeout, at(path, 'idle_timeout')) ?? DEFAULT_IDLE_MS,
    maxRequestsPerConnection: options.maxRequestsPerConnection ?? 0,
    maxConnectionDurationMs: decodeOptionalDuration(
      options.maxConnectionDuration,
      at(path, 'max_connection_duration'),
    ),
    maxStreamDurationMs: decodeOptionalDuration(options.maxStreamDuration, at(path, 'max_stream_duration')),
  };
}

/** The extension options as the cluster's map of them. */
export function encodeProtocolOptions(
  limits: ConnectionLimits & AutoNames & Pick<Cluster, 'protocol' | 'outlierStatuses'>,
): Record<string, wkt.Any> {
  const { idleTimeoutMs, maxRequestsPerConnection, maxConnectionDurationMs, maxStreamDurationMs } = limits;
  const common = create(core.HttpProtocolOptionsSchema, {
    idleTimeout: encodeDuration(idleTimeoutMs),
    maxRequestsPerConnection,
  });
  if (maxConnectionDurationMs !== undefined)
    common.maxConnectionDuration = encodeDuration(maxConnectionDurationMs);
  if (maxStreamDurationMs !== undefined) common.maxStreamDuration = encodeDuration(maxStreamDurationMs);
  const options = create(upstreamHttp.HttpProtocolOptionsSchema, {
    commonHttpProtocolOptions: common,
    upstreamProtocolOptions: encodeProtocol(limits.protocol),
  });
  if (limits.autoSni === true) {
    options.upstreamHttpProtocolOptions = create(core.UpstreamHttpProtocolOptionsSchema, {
      autoSni: true,
      autoSanValidation: limits.autoSanValidation ?? false,
    });
  }
  if (limits.outlierStatuses !== undefined)
    options.outlierDetection = encodeOutlierStatuses(limits.outlierStatuses);
  return { [HTTP_OPTIONS]: packAny(upstreamHttp.HttpProtocolOptionsSchema, options) };
}
