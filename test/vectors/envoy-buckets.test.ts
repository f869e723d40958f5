import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { decodeLocalRateLimit } from '../../src/codec/local-rate-limit.js';
import { rootPath } from '../../src/codec/path.js';
import { type LocalDecision, LocalLimiter } from '../../src/filters/local-limiter.js';
import { httpLocalRateLimit } from '../../src/proto/xds.js';
import { TokenBucket } from '../../src/runtime/token-bucket.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { hasVectors, readCases } from './envoy-config.js';

interface BucketStep {
  readonly op: string;
  readonly n?: number;
  readonly allow_partial?: boolean;
  readonly expect?: number;
  readonly expect_time_to_next_ms?: number;
  readonly t?: number;
  readonly d?: number;
  readonly returns?: number;
}
interface BucketCase {
  readonly name: string;
  readonly max: number;
  readonly fill_rate: number;
  readonly steps: readonly BucketStep[];
}

function runStep(bucket: TokenBucket, step: BucketStep): number | undefined {
  switch (step.op) {
    case 'consume':
      return bucket.consume(step.n ?? 1, step.allow_partial);
    case 'consume_fn':
      return bucket.consumeWith(() => step.returns ?? 0);
    case 'next_token_available_ms':
      return bucket.nextTokenMs;
    case 'remaining':
      return bucket.remaining;
    case 'reset_to':
      bucket.reset(step.n ?? 0);
      return undefined;
    default:
      throw new Error(`unknown step ${step.op}`);
  }
}

describe.runIf(hasVectors)('token buckets, as Envoy tests them', () => {
  test.each(readCases<BucketCase>('vectors/token_bucket.json'))('$name', ({ max, fill_rate: rate, steps }) => {
    let now = 0;
    const bucket = new TokenBucket(max, rate, { now: () => now });
    for (const step of steps) {
      if (step.op === 'set_time_ms') now = step.t ?? 0;
      else if (step.op === 'advance_ms') now += step.d ?? 0;
      else {
        const result = runStep(bucket, step);
        if (step.expect !== undefined) expect(result, JSON.stringify(step)).toBe(step.expect);
        if (step.expect_time_to_next_ms !== undefined) expect(bucket.nextTokenMs).toBe(step.expect_time_to_next_ms);
      }
    }
  });
});

interface Bucket {
  readonly fill_interval_ms: number;
  readonly max_tokens: number;
  readonly tokens_per_fill: number;
}
interface ConfiguredDescriptor extends Bucket {
  readonly entries: readonly (readonly [string, string])[];
  readonly shadow_mode?: boolean;
}
interface LimiterStep {
  readonly op: string;
  readonly ms?: number;
  readonly descriptors?: readonly {
    readonly entries: readonly (readonly [string, string])[];
    readonly hits_addend?: number;
    readonly is_negative_hits?: boolean;
    readonly x_ratelimit_option?: string;
  }[];
  readonly allowed?: boolean;
  readonly x_ratelimit_option?: string;
  readonly [field: `context_${string}`]: number | undefined;
}
interface LimiterCase {
  readonly name: string;
  readonly default_bucket?: Bucket;
  readonly share_factor: number;
  readonly dynamic_lru_size: number;
  readonly always_consume_default: boolean;
  readonly descriptors: readonly ConfiguredDescriptor[];
  readonly steps: readonly LimiterStep[];
}

const OPTIONS: Readonly<Record<string, boolean | undefined>> = { OFF: false, DRAFT_VERSION_03: true };
const entriesOf = (entries: readonly (readonly [string, string])[]) =>
  entries.map(([key, value]) => ({ key, value }));
const bucketOf = ({ fill_interval_ms, max_tokens, tokens_per_fill }: Bucket) => ({
  fillIntervalMs: fill_interval_ms,
  maxTokens: max_tokens,
  tokensPerFill: tokens_per_fill,
});

function checkContext(step: LimiterStep, decision: LocalDecision | undefined): void {
  const known: Readonly<Record<string, number | undefined>> = {
    context_max_tokens: decision?.bucket?.maxTokens,
    context_remaining_tokens: decision?.bucket?.remainingTokens,
    context_reset_seconds: decision?.bucket?.resetSeconds,
  };
  for (const [field, value] of Object.entries(known)) {
    const expected = (step as unknown as Record<string, unknown>)[field];
    if (expected !== undefined) expect(value, field).toBe(expected);
  }
}

const limiterCases = readCases<LimiterCase>('vectors/local_rate_limit.json');

describe.runIf(hasVectors)('local rate limits, as Envoy tests them', () => {
  test.each(limiterCases.filter(({ share_factor: share }) => share === 1))('$name', async (one) => {
    const clock = createFakeClock();
    const limiter = new LocalLimiter(
      {
        bucket: one.default_bucket && bucketOf(one.default_bucket),
        descriptors: one.descriptors.map((descriptor) => ({
          entries: entriesOf(descriptor.entries),
          bucket: bucketOf(descriptor),
          shadow: descriptor.shadow_mode ?? false,
        })),
        maxDynamicDescriptors: one.dynamic_lru_size,
        alwaysConsumeDefault: one.always_consume_default,
      },
      clock,
    );
    let decision: LocalDecision | undefined;
    for (const [index, step] of one.steps.entries()) {
      if (step.op === 'advance_ms') await clock.advance(step.ms ?? 0);
      if (step.op === 'request') {
        decision = limiter.decide(
          (step.descriptors ?? []).map((descriptor) => ({
            entries: entriesOf(descriptor.entries),
            limit: undefined,
            hits: descriptor.hits_addend,
            isRefund: descriptor.is_negative_hits ?? false,
            rateLimitHeaders: OPTIONS[descriptor.x_ratelimit_option ?? ''],
          })),
        );
        expect(decision.allowed, `step ${index}`).toBe(step.allowed);
        if (step.x_ratelimit_option !== undefined) {
          expect(decision.rateLimitHeaders).toBe(OPTIONS[step.x_ratelimit_option]);
        }
      }
      checkContext(step, decision);
    }
  });
});

interface ConfigCase {
  readonly default: readonly [number, number, number];
  readonly descriptors: readonly ConfiguredDescriptor[];
  readonly error: string | null;
  readonly line: number;
}

const seconds = (ms: number): string => `${ms / 1000}s`;

describe.runIf(hasVectors)('configurations of local rate limits, as Envoy accepts them', () => {
  test.each(readCases<ConfigCase>('vectors/local_rate_limit.json', 'config_validation'))('line $line', (one) => {
    const [interval, maxTokens, tokensPerFill] = one.default;
    const json: JsonValue = {
      statPrefix: 'x',
      tokenBucket: { maxTokens, tokensPerFill, fillInterval: seconds(interval) },
      descriptors: one.descriptors.map((descriptor) => ({
        entries: entriesOf(descriptor.entries),
        tokenBucket: {
          maxTokens: descriptor.max_tokens,
          tokensPerFill: descriptor.tokens_per_fill,
          fillInterval: seconds(descriptor.fill_interval_ms),
        },
      })),
    };
    const decode = () =>
      decodeLocalRateLimit(fromJson(httpLocalRateLimit.LocalRateLimitSchema, json), rootPath('LDS l'));
    if (one.error === null) expect(decode).not.toThrow();
    else expect(decode).toThrow();
  });
});
