import { create } from '@bufbuild/protobuf';
import type { TokenBucketConfig } from '../model/local-rate-limit.js';
import { type } from '../proto/xds.js';
import { decodeDuration, encodeDuration } from './duration.js';
import { at, type Path, refuse, required } from './path.js';

/** Envoy: a bucket that holds something may not be filled more often. */
const MIN_FILL_INTERVAL_MS = 50;

/** A token bucket; one that holds nothing refuses everything, however it is filled. */
export function decodeTokenBucket(message: type.TokenBucket, path: Path): TokenBucketConfig {
  const { maxTokens, tokensPerFill = 1, fillInterval } = message;
  const where = at(path, 'fill_interval');
  const fillIntervalMs = decodeDuration(required(fillInterval, where), where);
  if (fillIntervalMs === 0) refuse(where, 'must be greater than 0');
  if (tokensPerFill === 0) refuse(at(path, 'tokens_per_fill'), 'must be greater than 0');
  if (maxTokens > 0 && fillIntervalMs < MIN_FILL_INTERVAL_MS) {
    refuse(where, `must be at least ${MIN_FILL_INTERVAL_MS} ms`);
  }
  return { maxTokens, tokensPerFill, fillIntervalMs };
}

/** The token bucket as a message. */
export function encodeTokenBucket(bucket: TokenBucketConfig): type.TokenBucket {
  return create(type.TokenBucketSchema, {
    maxTokens: bucket.maxTokens,
    tokensPerFill: bucket.tokensPerFill,
    fillInterval: encodeDuration(bucket.fillIntervalMs),
  });
}
