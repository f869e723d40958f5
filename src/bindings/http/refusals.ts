import type { Clock } from '../../runtime/clock.js';
import type { MeshError } from '../../runtime/errors.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';

/** Why a connection was refused. */
export type Refusal =
  /** Plaintext where only mTLS is allowed. */
  | 'plaintext'
  /** TLS where only plaintext is allowed, or nothing is. */
  | 'tls'
  /** No first byte in time. */
  | 'silent'
  /** There is no certificate of our own yet. */
  | 'identity'
  /** The TLS handshake failed: no certificate, an unknown CA, an expired one, not TLS 1.3. */
  | 'handshake'
  /** Too many handshakes of its address came to nothing. */
  | 'rate'
  /** The certificate is valid, but no SPIFFE identity that we accept. */
  | 'peer';

/** How many connections were refused so far, by reason. */
export type RefusalCounts = Readonly<Record<Refusal, number>>;

/** At most one line of log per reason in this time: a port scan must not fill the disk. */
const LOG_INTERVAL_MS = 10_000;

/** Counts refused connections and tells of them, rarely enough. */
export class Refusals {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #counts: Record<Refusal, number> = {
    plaintext: 0,
    tls: 0,
    silent: 0,
    identity: 0,
    handshake: 0,
    rate: 0,
    peer: 0,
  };
  readonly #logged = new Map<Refusal, { atMs: number; count: number }>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  get counts(): RefusalCounts {
    return { ...this.#counts };
  }

  /** Counts one refusal and logs it unless the same reason was logged just now. */
  add(reason: Refusal, remote: string, error: MeshError): void {
    const count = ++this.#counts[reason];
    const now = this.#clock.now();
    const last = this.#logged.get(reason);
    if (last !== undefined && now - last.atMs < LOG_INTERVAL_MS) return;
    this.#logged.set(reason, { atMs: now, count });
    const suppressed = count - 1 - (last?.count ?? 0);
    const fields = { code: error.code, remote, reason, ...(suppressed > 0 && { suppressed }) };
    this.#logger.warn(fields, messageOf(error));
  }
}
