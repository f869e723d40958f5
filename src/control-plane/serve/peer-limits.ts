import type { Clock } from '../../runtime/clock.js';
import { formatIp, maskIp, parseIp } from '../../runtime/ip.js';
import { TokenBucket } from '../../runtime/token-bucket.js';
import { isLoopbackPeer } from '../ca/peer-address.js';

/** How often one address may do something. */
export interface PeerRate {
  readonly perSecond: number;
  /** How much of it at once. */
  readonly burst: number;
  /** Whether processes of this machine are counted, too. */
  readonly countsLoopback: boolean;
}

/** Addresses that are told apart; beyond that those seen last share their limits with nobody, and older ones begin anew. */
const MAX_ADDRESSES = 10_000;

/** Limits what addresses may cost before anybody knows who is behind them. */
export class PeerLimits {
  readonly #rate: PeerRate;
  readonly #clock: Pick<Clock, 'now'>;
  /** In the order of their last use. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rate: PeerRate, clock: Pick<Clock, 'now'>) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** Whether the address may do it once more. */
  take(address: string): boolean {
    const { perSecond, burst, countsLoopback } = this.#rate;
    if (!countsLoopback && isLoopbackPeer(address)) return true;
    const key = networkOf(address);
    const bucket = this.#buckets.get(key) ?? new TokenBucket(burst, perSecond, this.#clock);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_ADDRESSES && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket.consume(1) === 1;
  }
}

/** Who has one address of IPv6 has its /64: it counts as one. */
function networkOf(address: string): string {
  const bytes = parseIp(address.replace(/^::ffff:(?=\d+\.)/i, ''));
  if (bytes === undefined) return address;
  return formatIp(bytes.length === 4 ? bytes : maskIp(bytes, 64));
}

/** The address of a peer as gRPC gives it, without its port. */
export function addressOf(peer: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(peer)?.[1] ?? /^(.*):\d{1,5}$/.exec(peer)?.[1] ?? peer;
}
