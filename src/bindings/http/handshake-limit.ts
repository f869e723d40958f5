import type { Clock } from '../../runtime/clock.js';
import { maskIp, parseIp } from '../../runtime/ip.js';

/** How many handshakes an address may begin that come to nothing. */
export interface HandshakeLimits {
  /** At once. Default 500. */
  readonly burst?: number;
  /** And so many more each second. Default 50. */
  readonly perSecond?: number;
}

/** Addresses that are remembered; the one that was quiet for longest makes room. */
const MAX_SOURCES = 10_000;
/** A whole network of IPv6 is as cheap as one address. */
const IPV6_PREFIX = 64;

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * Keeps addresses from making us do handshakes that come to nothing: each costs a signature of ours, and its client
 * nothing. One that succeeds is given back, so that members of the mesh may come as often as they like.
 */
export class HandshakeLimit {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock, { burst = 500, perSecond = 50 }: HandshakeLimits = {}) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perSecond = perSecond;
  }

  /** Whether the address may begin another one. */
  begin(address: string | undefined): boolean {
    const bucket = this.#bucketOf(address);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  /** One that began has succeeded. */
  succeeded(address: string | undefined): void {
    const bucket = this.#bucketOf(address);
    bucket.tokens = Math.min(this.#burst, bucket.tokens + 1);
  }

  #bucketOf(address = ''): Bucket {
    const key = networkOf(address);
    const now = this.#clock.now();
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: this.#burst, atMs: now };
      const [oldest] = this.#buckets.keys();
      if (this.#buckets.size >= MAX_SOURCES && oldest !== undefined) this.#buckets.delete(oldest);
    } else {
      const gainedSeconds = (now - bucket.atMs) / 1000;
      bucket.tokens = Math.min(this.#burst, bucket.tokens + gainedSeconds * this.#perSecond);
      bucket.atMs = now;
      this.#buckets.delete(key);
    }
    // In order of their last use.
    this.#buckets.set(key, bucket);
    return bucket;
  }
}

function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address;
  const bytes = parseIp(address);
  return bytes === undefined ? address : Buffer.from(maskIp(bytes, IPV6_PREFIX)).toString('hex');
}
