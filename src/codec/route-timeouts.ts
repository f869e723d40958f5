import { create } from '@bufbuild/protobuf';
import type { RouteAction } from '../model/route.js';
import { route } from '../proto/xds.js';
import { decodeDuration, decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path } from './path.js';

/** Envoy: a route without a timeout has one of 15 s. */
const DEFAULT_TIMEOUT_MS = 15_000;

/** Names of the route action's fields that are decoded here. */
export const TIMEOUT_FIELDS: readonly string[] = [
  'timeout',
  'max_stream_duration',
  'idle_timeout',
  'max_grpc_timeout',
  'grpc_timeout_offset',
];

const streamDurationFields = onlyFields(() => route.RouteAction_MaxStreamDurationSchema, {
  enforced: ['max_stream_duration', 'grpc_timeout_header_max', 'grpc_timeout_header_offset'],
});

type Timeouts = Pick<
  RouteAction,
  | 'timeoutMs'
  | 'timeoutIsDefault'
  | 'maxStreamDurationMs'
  | 'grpcTimeoutHeader'
  | 'maxGrpcTimeoutMs'
  | 'grpcTimeoutOffsetMs'
  | 'idleTimeoutMs'
>;

/** The time limits of a route. */
export function decodeTimeouts(action: route.RouteAction, path: Path): Timeouts {
  const { timeout, maxStreamDuration } = action;
  const optional = (
    duration: Parameters<typeof decodeOptionalDuration>[0],
    field: string,
  ): number | undefined => decodeOptionalDuration(duration, at(path, field));
  return {
    timeoutMs: timeout === undefined ? DEFAULT_TIMEOUT_MS : decodeDuration(timeout, at(path, 'timeout')),
    ...(timeout === undefined && { timeoutIsDefault: true }),
    ...decodeStreamDuration(maxStreamDuration, at(path, 'max_stream_duration')),
    idleTimeoutMs: optional(action.idleTimeout, 'idle_timeout'),
    maxGrpcTimeoutMs: optional(action.maxGrpcTimeout, 'max_grpc_timeout'),
    grpcTimeoutOffsetMs: optional(action.grpcTimeoutOffset, 'grpc_timeout_offset'),
  };
}

function decodeStreamDuration(
  message: route.RouteAction_MaxStreamDuration | undefined,
  path: Path,
): Pick<Timeouts, 'maxStreamDurationMs' | 'grpcTimeoutHeader'> {
  if (message === undefined) return { maxStreamDurationMs: undefined, grpcTimeoutHeader: undefined };
  streamDurationFields(message, path);
  const maxStreamDurationMs = decodeOptionalDuration(
    message.maxStreamDuration,
    at(path, 'max_stream_duration'),
  );
  const maxMs = decodeOptionalDuration(message.grpcTimeoutHeaderMax, at(path, 'grpc_timeout_header_max'));
  const offsetMs = decodeOptionalDuration(
    message.grpcTimeoutHeaderOffset,
    at(path, 'grpc_timeout_header_offset'),
  );
  // Its presence alone matters: an empty message takes the route's timeout out of force.
  const isPlain = maxStreamDurationMs !== undefined && maxMs === undefined && offsetMs === undefined;
  return { maxStreamDurationMs, grpcTimeoutHeader: isPlain ? undefined : { maxMs, offsetMs } };
}

/** Writes the time limits into the message; a timeout that is somebody's is always written, because its absence means 15 s. */
export function encodeTimeouts(action: Timeouts, message: route.RouteAction): void {
  if (action.timeoutIsDefault !== true) message.timeout = encodeDuration(action.timeoutMs);
  const { idleTimeoutMs, maxGrpcTimeoutMs, grpcTimeoutOffsetMs } = action;
  if (idleTimeoutMs !== undefined) message.idleTimeout = encodeDuration(idleTimeoutMs);
  if (maxGrpcTimeoutMs !== undefined) message.maxGrpcTimeout = encodeDuration(maxGrpcTimeoutMs);
  if (grpcTimeoutOffsetMs !== undefined) message.grpcTimeoutOffset = encodeDuration(grpcTimeoutOffsetMs);
  const { maxStreamDurationMs, grpcTimeoutHeader: header } = action;
  if (maxStreamDurationMs === undefined && header === undefined) return;
  const duration = create(route.RouteAction_MaxStreamDurationSchema);
  if (maxStreamDurationMs !== undefined) duration.maxStreamDuration = encodeDuration(maxStreamDurationMs);
  if (header?.maxMs !== undefined) duration.grpcTimeoutHeaderMax = encodeDuration(header.maxMs);
  if (header?.offsetMs !== undefined) duration.grpcTimeoutHeaderOffset = encodeDuration(header.offsetMs);
  message.maxStreamDuration = duration;
}
