import { create } from '@bufbuild/protobuf';
import type { InboundLimits } from '../model/inbound-limits.js';
import type { HttpConnectionManager } from '../model/listener.js';
import { core, type httpConnectionManager as hcm } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

/** Names of the connection manager's fields that are decoded here; only for servers. */
export const INBOUND_LIMIT_FIELDS: readonly string[] = [
  'stream_idle_timeout',
  'request_timeout',
  'request_headers_timeout',
  'max_request_headers_kb',
  'drain_timeout',
  'delayed_close_timeout',
  'common_http_protocol_options',
];

const commonFields = onlyFields(() => core.HttpProtocolOptionsSchema, {
  enforced: [
    'idle_timeout',
    'max_connection_duration',
    'max_headers_count',
    'max_stream_duration',
    'headers_with_underscores_action',
    'max_requests_per_connection',
  ],
});

/** Envoy: 8 MiB at most. */
const MAX_HEADERS_KB = 8192;

type Limits = Pick<HttpConnectionManager, 'limits' | 'streamIdleTimeoutMs' | 'maxStreamDurationMs'>;

/** The limits of a server. */
export function decodeInboundLimits(message: hcm.HttpConnectionManager, path: Path): Limits {
  const common = message.commonHttpProtocolOptions;
  const commonPath = at(path, 'common_http_protocol_options');
  if (common !== undefined) commonFields(common, commonPath);
  const duration = (field: typeof message.requestTimeout, name: string) =>
    decodeOptionalDuration(field, at(path, name));
  const shared = (field: typeof message.requestTimeout, name: string) =>
    decodeOptionalDuration(field, at(commonPath, name));
  const limits: InboundLimits = {
    requestTimeoutMs: duration(message.requestTimeout, 'request_timeout'),
    requestHeadersTimeoutMs: duration(message.requestHeadersTimeout, 'request_headers_timeout'),
    drainTimeoutMs: duration(message.drainTimeout, 'drain_timeout'),
    delayedCloseTimeoutMs: duration(message.delayedCloseTimeout, 'delayed_close_timeout'),
    maxRequestHeadersKb: atLeastOne(
      message.maxRequestHeadersKb,
      at(path, 'max_request_headers_kb'),
      MAX_HEADERS_KB,
    ),
    idleTimeoutMs: shared(common?.idleTimeout, 'idle_timeout'),
    maxConnectionDurationMs: shared(common?.maxConnectionDuration, 'max_connection_duration'),
    maxHeadersCount: atLeastOne(common?.maxHeadersCount, at(commonPath, 'max_headers_count')),
    maxRequestsPerConnection: common?.maxRequestsPerConnection,
    underscores: decodeUnderscores(common, at(commonPath, 'headers_with_underscores_action')),
  };
  const isSet = Object.values(limits).some((one) => one !== undefined);
  return {
    limits: isSet ? limits : undefined,
    streamIdleTimeoutMs: duration(message.streamIdleTimeout, 'stream_idle_timeout'),
    maxStreamDurationMs: shared(common?.maxStreamDuration, 'max_stream_duration'),
  };
}

function atLeastOne(
  value: number | undefined,
  path: Path,
  most = Number.POSITIVE_INFINITY,
): number | undefined {
  if (value === undefined || (value >= 1 && value <= most)) return value;
  return refuse(path, most === Number.POSITIVE_INFINITY ? 'must be at least 1' : `must be from 1 to ${most}`);
}

function decodeUnderscores(
  common: core.HttpProtocolOptions | undefined,
  path: Path,
): InboundLimits['underscores'] {
  const { ALLOW, REJECT_REQUEST, DROP_HEADER } = core.HttpProtocolOptions_HeadersWithUnderscoresAction;
  switch (common?.headersWithUnderscoresAction) {
    case undefined:
    case ALLOW:
      return undefined;
    case REJECT_REQUEST:
      return 'reject';
    case DROP_HEADER:
      return 'drop';
    default:
      return refuse(path, `has no value ${String(common?.headersWithUnderscoresAction)}`);
  }
}

/** Writes the limits of a server into the message. */
export function encodeInboundLimits({ limits = {} }: Limits, message: hcm.HttpConnectionManager): void {
  const { requestTimeoutMs, requestHeadersTimeoutMs, drainTimeoutMs, delayedCloseTimeoutMs } = limits;
  if (requestTimeoutMs !== undefined) message.requestTimeout = encodeDuration(requestTimeoutMs);
  if (requestHeadersTimeoutMs !== undefined)
    message.requestHeadersTimeout = encodeDuration(requestHeadersTimeoutMs);
  if (drainTimeoutMs !== undefined) message.drainTimeout = encodeDuration(drainTimeoutMs);
  if (delayedCloseTimeoutMs !== undefined)
    message.delayedCloseTimeout = encodeDuration(delayedCloseTimeoutMs);
  if (limits.maxRequestHeadersKb !== undefined) message.maxRequestHeadersKb = limits.maxRequestHeadersKb;
  const { idleTimeoutMs, maxConnectionDurationMs, maxHeadersCount, maxRequestsPerConnection, underscores } =
    limits;
  const shared = [
    idleTimeoutMs,
    maxConnectionDurationMs,
    maxHeadersCount,
    maxRequestsPerConnection,
    underscores,
  ];
  if (shared.every((one) => one === undefined)) return;
  const common = message.commonHttpProtocolOptions ?? create(core.HttpProtocolOptionsSchema);
  message.commonHttpProtocolOptions = common;
  if (idleTimeoutMs !== undefined) common.idleTimeout = encodeDuration(idleTimeoutMs);
  if (maxConnectionDurationMs !== undefined)
    common.maxConnectionDuration = encodeDuration(maxConnectionDurationMs);
  if (maxHeadersCount !== undefined) common.maxHeadersCount = maxHeadersCount;
  if (maxRequestsPerConnection !== undefined) common.maxRequestsPerConnection = maxRequestsPerConnection;
  const { ALLOW, REJECT_REQUEST, DROP_HEADER } = core.HttpProtocolOptions_HeadersWithUnderscoresAction;
  if (underscores !== undefined)
    common.headersWithUnderscoresAction = underscores === 'reject' ? REJECT_REQUEST : DROP_HEADER;
  else common.headersWithUnderscoresAction = ALLOW;
}
