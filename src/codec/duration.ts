import { create } from '@bufbuild/protobuf';
import { wkt } from '../proto/xds.js';
import { type Path, refuse } from './path.js';

/** Protobuf: a Duration spans at most 10,000 years. */
const MAX_SECONDS = 315_576_000_000;
const NANOS_PER_MS = 1_000_000;

/** Milliseconds of a duration that may be zero; refuses negative and malformed ones. */
export function decodeDuration(duration: wkt.Duration, path: Path): number {
  const seconds = Number(duration.seconds);
  const { nanos } = duration;
  if (seconds < 0 || nanos < 0) return refuse(path, 'must not be negative');
  if (seconds > MAX_SECONDS || nanos > 999_999_999) return refuse(path, 'is no valid duration');
  return seconds * 1000 + nanos / NANOS_PER_MS;
}

/** As {@link decodeDuration}, but undefined stays undefined. */
export function decodeOptionalDuration(duration: wkt.Duration | undefined, path: Path): number | undefined {
  return duration === undefined ? undefined : decodeDuration(duration, path);
}

/** Milliseconds of a duration that must be greater than zero, or the default when it is not set. */
export function decodePositiveDuration(
  duration: wkt.Duration | undefined,
  defaultMs: number,
  path: Path,
): number {
  if (duration === undefined) return defaultMs;
  const ms = decodeDuration(duration, path);
  return ms > 0 ? ms : refuse(path, 'must be greater than 0');
}

/** The duration of so many milliseconds, exact to a nanosecond. */
export function encodeDuration(ms: number): wkt.Duration {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * NANOS_PER_MS);
  // Rounding may carry over into the next second.
  return nanos < 1_000_000_000
    ? create(wkt.DurationSchema, { seconds: BigInt(seconds), nanos })
    : create(wkt.DurationSchema, { seconds: BigInt(seconds + 1), nanos: nanos - 1_000_000_000 });
}
