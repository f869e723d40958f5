import { create } from '@bufbuild/protobuf';
import { DEFAULT_HTTP2_OPTIONS, type Http2Keepalive, type Http2Options } from '../model/upstream-protocol.js';
import { core } from '../proto/xds.js';
import { decodeDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';
import { decodePercent, encodePercent } from './percent.js';

/** RFC 9113 §6.9.2, and Envoy's smallest window. */
const MIN_WINDOW = 65_535;
const MAX_31_BITS = 2 ** 31 - 1;
/** Envoy's default. */
const DEFAULT_JITTER_PERCENT = 15;

const http2Fields = onlyFields(() => core.Http2ProtocolOptionsSchema, {
  enforced: [
    'hpack_table_size',
    'max_concurrent_streams',
    'initial_stream_window_size',
    'initial_connection_window_size',
    'connection_keepalive',
    'allow_connect',
  ],
});

const keepaliveFields = onlyFields(() => core.KeepaliveSettingsSchema, {
  enforced: ['interval', 'timeout', 'interval_jitter', 'connection_idle_interval'],
});

/** The options of HTTP/2; what is not set, or no message at all, is Envoy's default. */
export function decodeHttp2Options(message: core.Http2ProtocolOptions | undefined, path: Path): Http2Options {
  if (message === undefined) return DEFAULT_HTTP2_OPTIONS;
  http2Fields(message, path);
  const { maxConcurrentStreams, initialStreamWindowSize, initialConnectionWindowSize } = message;
  checkRange(maxConcurrentStreams, 1, at(path, 'max_concurrent_streams'));
  checkRange(initialStreamWindowSize, MIN_WINDOW, at(path, 'initial_stream_window_size'));
  checkRange(initialConnectionWindowSize, MIN_WINDOW, at(path, 'initial_connection_window_size'));
  const keepalive = message.connectionKeepalive;
  return {
    maxConcurrentStreams: maxConcurrentStreams ?? DEFAULT_HTTP2_OPTIONS.maxConcurrentStreams,
    initialStreamWindow: initialStreamWindowSize ?? DEFAULT_HTTP2_OPTIONS.initialStreamWindow,
    initialConnectionWindow: initialConnectionWindowSize ?? DEFAULT_HTTP2_OPTIONS.initialConnectionWindow,
    hpackTableSize: message.hpackTableSize ?? DEFAULT_HTTP2_OPTIONS.hpackTableSize,
    keepalive: keepalive && decodeKeepalive(keepalive, at(path, 'connection_keepalive')),
    allowConnect: message.allowConnect || undefined,
  };
}

function checkRange(value: number | undefined, least: number, path: Path): void {
  if (value === undefined || (value >= least && value <= MAX_31_BITS)) return;
  refuse(path, `must be from ${least} to ${MAX_31_BITS}`);
}

function decodeKeepalive(message: core.KeepaliveSettings, path: Path): Http2Keepalive {
  keepaliveFields(message, path);
  const { interval, timeout, intervalJitter, connectionIdleInterval } = message;
  const timeoutPath = at(path, 'timeout');
  return {
    intervalMs: interval === undefined ? 0 : decodeMillisecond(interval, at(path, 'interval')),
    timeoutMs: decodeMillisecond(required(timeout, timeoutPath), timeoutPath),
    jitterPercent: decodePercent(intervalJitter, DEFAULT_JITTER_PERCENT, at(path, 'interval_jitter')),
    idleIntervalMs:
      connectionIdleInterval === undefined
        ? 0
        : decodeMillisecond(connectionIdleInterval, at(path, 'connection_idle_interval')),
  };
}

/** Envoy: these are at least a millisecond. */
function decodeMillisecond(...[duration, path]: Parameters<typeof decodeDuration>): number {
  const ms = decodeDuration(duration, path);
  return ms >= 1 ? ms : refuse(path, 'must be at least 1 ms');
}

/** The options as a message, written in full. */
export function encodeHttp2Options(model: Http2Options): core.Http2ProtocolOptions {
  const { keepalive } = model;
  const message = create(core.Http2ProtocolOptionsSchema, {
    hpackTableSize: model.hpackTableSize,
    maxConcurrentStreams: model.maxConcurrentStreams,
    initialStreamWindowSize: model.initialStreamWindow,
    initialConnectionWindowSize: model.initialConnectionWindow,
    allowConnect: model.allowConnect === true,
  });
  if (keepalive !== undefined) message.connectionKeepalive = encodeKeepalive(keepalive);
  return message;
}

function encodeKeepalive(model: Http2Keepalive): core.KeepaliveSettings {
  const message = create(core.KeepaliveSettingsSchema, {
    timeout: encodeDuration(model.timeoutMs),
    intervalJitter: encodePercent(model.jitterPercent),
  });
  if (model.intervalMs > 0) message.interval = encodeDuration(model.intervalMs);
  if (model.idleIntervalMs > 0) message.connectionIdleInterval = encodeDuration(model.idleIntervalMs);
  return message;
}
