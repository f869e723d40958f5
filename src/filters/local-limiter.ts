import type {
  LocalRateLimitConfig,
  LocalRateLimitDescriptor,
  TokenBucketConfig,
} from '../model/local-rate-limit.js';
import type { Clock } from '../runtime/clock.js';
import { TokenBucket } from '../runtime/token-bucket.js';
import type { DescriptorEntry } from './rate-limit-actions.js';
import type { RateLimitDescriptor } from './rate-limit-descriptors.js';

/** What a limiter says of a request. */
export interface LocalDecision {
  readonly allowed: boolean;
  /** The bucket that refused, else the tightest one that was asked; undefined when there was none. */
  readonly bucket: LocalBucket | undefined;
  /** What the descriptor of that bucket says of `x-ratelimit-*` headers. */
  readonly rateLimitHeaders: boolean | undefined;
}

/** A bucket of a descriptor, or the one for all requests. */
export class LocalBucket {
  readonly isShadow: boolean;
  readonly #tokens: TokenBucket;

  constructor(config: TokenBucketConfig, isShadow: boolean, clock: Clock) {
    const { maxTokens, tokensPerFill, fillIntervalMs } = config;
    this.isShadow = isShadow;
    this.#tokens = new TokenBucket(maxTokens, tokensPerFill / (fillIntervalMs / 1000), clock);
  }

  get fillRate(): number {
    return this.#tokens.fillRate;
  }

  get maxTokens(): number {
    return this.#tokens.maxTokens;
  }

  /** Whole tokens that are left. */
  get remainingTokens(): number {
    return Math.max(0, Math.floor(this.#tokens.remaining));
  }

  /** Whole seconds until the next token. */
  get resetSeconds(): number {
    return Math.floor(this.#tokens.nextTokenMs / 1000);
  }

  /**
   * Envoy: nothing can be taken by nobody, so a descriptor that counts for no hits is refused. Of a bucket that is shared a
   * hit costs as many tokens as there are members.
   */
  consume(hits: number, members = 1): boolean {
    return this.#tokens.consume(hits * members) !== 0;
  }

  /** Gives tokens back, up to what the bucket holds. */
  refund(hits: number): void {
    this.#tokens.consumeWith((available) => -Math.min(hits, Math.max(0, this.maxTokens - available)));
  }
}

/** The buckets of one configuration (Envoy `LocalRateLimiterImpl`). */
export class LocalLimiter {
  readonly #fixed = new Map<string, LocalBucket>();
  readonly #dynamic: DynamicBuckets[] = [];
  readonly #default: LocalBucket | 'deny' | undefined;
  readonly #alwaysConsumeDefault: boolean;
  readonly #members: () => number;

  /** `members` tells how many processes share the buckets. */
  constructor(
    config: Pick<
      LocalRateLimitConfig,
      'bucket' | 'descriptors' | 'maxDynamicDescriptors' | 'alwaysConsumeDefault'
    >,
    clock: Clock,
    members: () => number = () => 1,
  ) {
    const { bucket, descriptors, maxDynamicDescriptors } = config;
    this.#members = members;
    this.#alwaysConsumeDefault = config.alwaysConsumeDefault;
    if (bucket !== undefined) {
      this.#default = bucket.maxTokens === 0 ? 'deny' : new LocalBucket(bucket, false, clock);
    }
    for (const descriptor of descriptors) {
      if (descriptor.entries.some(({ value }) => value === '')) {
        this.#dynamic.push(new DynamicBuckets(descriptor, maxDynamicDescriptors, clock));
      } else {
        this.#fixed.set(
          entriesKey(descriptor.entries),
          new LocalBucket(descriptor.bucket, descriptor.shadow, clock),
        );
      }
    }
  }

  /**
   * Takes tokens for a request. Envoy: of all buckets that match, the slowest first, until one refuses; then of the
   * bucket for all requests.
   */
  decide(descriptors: readonly RateLimitDescriptor[]): LocalDecision {
    const matched = this.#match(descriptors);
    const members = this.#members();
    for (const { bucket, descriptor } of matched) {
      const { hits, isRefund, rateLimitHeaders } = descriptor;
      if (isRefund && hits !== undefined) bucket.refund(hits);
      else if (!bucket.consume(hits ?? 1, members)) return { allowed: false, bucket, rateLimitHeaders };
    }
    const [first] = matched;
    const rateLimitHeaders = first?.descriptor.rateLimitHeaders;
    const fallback = first === undefined || this.#alwaysConsumeDefault ? this.#default : undefined;
    if (fallback === 'deny') return { allowed: false, bucket: undefined, rateLimitHeaders: undefined };
    if (fallback !== undefined && !fallback.consume(1, members)) {
      return { allowed: false, bucket: fallback, rateLimitHeaders: undefined };
    }
    return { allowed: true, bucket: first?.bucket ?? fallback, rateLimitHeaders };
  }

  #match(descriptors: readonly RateLimitDescriptor[]): readonly Match[] {
    if (this.#fixed.size + this.#dynamic.length === 0) return NO_MATCH;
    const matched: Match[] = [];
    for (const descriptor of descriptors) {
      const key = entriesKey(descriptor.entries);
      const bucket = this.#fixed.get(key) ?? this.#dynamicBucket(descriptor.entries, key);
      if (bucket !== undefined) matched.push({ bucket, descriptor });
    }
    if (matched.length > 1) matched.sort((a, b) => a.bucket.fillRate - b.bucket.fillRate);
    return matched;
  }

  #dynamicBucket(entries: readonly DescriptorEntry[], key: string): LocalBucket | undefined {
    return this.#dynamic.find((one) => one.matches(entries))?.get(key);
  }
}

interface Match {
  readonly bucket: LocalBucket;
  readonly descriptor: RateLimitDescriptor;
}

const NO_MATCH: readonly Match[] = [];

/** The buckets of a descriptor with empty values: one per distinct descriptor, those used last. */
class DynamicBuckets {
  readonly #descriptor: LocalRateLimitDescriptor;
  readonly #max: number;
  readonly #clock: Clock;
  /** In order of use: a Map keeps the order of insertion. */
  readonly #buckets = new Map<string, LocalBucket>();

  constructor(descriptor: LocalRateLimitDescriptor, max: number, clock: Clock) {
    this.#descriptor = descriptor;
    this.#max = max;
    this.#clock = clock;
  }

  matches(entries: readonly DescriptorEntry[]): boolean {
    const wanted = this.#descriptor.entries;
    return (
      wanted.length === entries.length &&
      wanted.every(
        ({ key, value }, index) =>
          key === entries[index]?.key && (value === '' || value === entries[index]?.value),
      )
    );
  }

  get(key: string): LocalBucket {
    const known = this.#buckets.get(key);
    const bucket = known ?? new LocalBucket(this.#descriptor.bucket, this.#descriptor.shadow, this.#clock);
    if (known !== undefined) this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > this.#max) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket;
  }
}

/** A text that differs for different entries, whatever characters they have. */
export function entriesKey(entries: readonly DescriptorEntry[]): string {
  let key = '';
  for (const entry of entries) {
    key += `${entry.key.length}:${entry.key}${entry.value.length}:${entry.value}`;
  }
  return key;
}
