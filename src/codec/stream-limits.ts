import { create } from '@bufbuild/protobuf';
import type { HttpConnectionManager } from '../model/listener.js';
import { core, type httpConnectionManager as hcm } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path } from './path.js';

/** Names of the connection manager's fields that are decoded here; only for requests of this process. */
export const LIMIT_FIELDS: readonly string[] = ['stream_idle_timeout', 'common_http_protocol_options'];

const commonFields = onlyFields(() => core.HttpProtocolOptionsSchema, {
  enforced: ['max_stream_duration'],
  // Of connections of the caller: it is this process itself, and has none.
  ignored: ['idle_timeout'],
});

type StreamLimits = Pick<HttpConnectionManager, 'streamIdleTimeoutMs' | 'maxStreamDurationMs'>;

/** The time limits that hold for every exchange of a connection manager. */
export function decodeStreamLimits(message: hcm.HttpConnectionManager, path: Path): StreamLimits {
  const common = message.commonHttpProtocolOptions;
  const commonPath = at(path, 'common_http_protocol_options');
  if (common !== undefined) commonFields(common, commonPath);
  return {
    streamIdleTimeoutMs: decodeOptionalDuration(message.streamIdleTimeout, at(path, 'stream_idle_timeout')),
    maxStreamDurationMs: decodeOptionalDuration(
      common?.maxStreamDuration,
      at(commonPath, 'max_stream_duration'),
    ),
  };
}

/** Writes the limits into the message. */
export function encodeStreamLimits(limits: StreamLimits, message: hcm.HttpConnectionManager): void {
  const { streamIdleTimeoutMs, maxStreamDurationMs } = limits;
  if (streamIdleTimeoutMs !== undefined) message.streamIdleTimeout = encodeDuration(streamIdleTimeoutMs);
  if (maxStreamDurationMs === undefined) return;
  message.commonHttpProtocolOptions = create(core.HttpProtocolOptionsSchema, {
    maxStreamDuration: encodeDuration(maxStreamDurationMs),
  });
}
