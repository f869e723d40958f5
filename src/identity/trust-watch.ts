import type { TLSSocket } from 'node:tls';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { isSameBundle, type X509Bundle } from './bundle.js';

/** Certificates that are verified again in one turn of the event loop; each costs a tenth of a millisecond or two. */
const PER_TURN = 50;

/** What a watch asks about trust. */
export interface TrustTools {
  /** What vouches for a trust domain now. */
  readonly bundleOf: (trustDomain: string) => X509Bundle | undefined;
  /** Throws when the other end's certificate holds no longer. */
  readonly verify: (socket: TLSSocket) => unknown;
  readonly clock: Clock;
}

interface Watched {
  readonly socket: TLSSocket;
  readonly trustDomain: string;
  readonly lost: () => void;
}

/**
 * Live connections whose other end was verified. When the roots of its trust domain change, or what was revoked there,
 * it is verified again, one certificate once however many connections it has.
 */
export class TrustWatch {
  readonly #tools: TrustTools;
  readonly #watched = new Set<Watched>();
  /** What vouched for the trust domains of the connections when they were last verified. */
  readonly #bundles = new Map<string, X509Bundle | undefined>();
  readonly #doubtful = new Set<Watched>();
  /** By the fingerprint of the certificate. */
  readonly #verdicts = new Map<string, boolean>();
  #turn: Timer | undefined;
  #isClosed = false;

  constructor(tools: TrustTools) {
    this.#tools = tools;
  }

  /** Calls `lost` once when the other end, verified just now, is trusted no longer. Ends by itself with the socket. */
  add(socket: TLSSocket, trustDomain: string, lost: () => void): Unsubscribe {
    const entry: Watched = { socket, trustDomain, lost };
    if (!this.#bundles.has(trustDomain)) this.#bundles.set(trustDomain, this.#tools.bundleOf(trustDomain));
    this.#watched.add(entry);
    const end = () => void this.#watched.delete(entry);
    socket.once('close', end);
    return () => {
      socket.off('close', end);
      end();
    };
  }

  /** Verifies again where something changed. */
  recheck(): void {
    if (this.#isClosed) return;
    const changed = new Set<string>();
    for (const [trustDomain, before] of this.#bundles) {
      const now = this.#tools.bundleOf(trustDomain);
      if (!isSameBundle(before, now)) changed.add(trustDomain);
      this.#bundles.set(trustDomain, now);
    }
    if (changed.size === 0) return;
    for (const entry of this.#watched) if (changed.has(entry.trustDomain)) this.#doubtful.add(entry);
    // What was found out under the rules before may be wrong now.
    this.#verdicts.clear();
    this.#turn?.cancel();
    this.#verify();
  }

  /** Forgets everything. */
  close(): void {
    this.#isClosed = true;
    this.#turn?.cancel();
    this.#watched.clear();
  }

  #verify(): void {
    const verdicts = this.#verdicts;
    const known = verdicts.size;
    for (const entry of this.#doubtful) {
      if (verdicts.size - known >= PER_TURN) {
        this.#turn = this.#tools.clock.schedule(0, () => this.#verify());
        return;
      }
      this.#doubtful.delete(entry);
      if (!this.#watched.has(entry) || this.#holds(entry.socket, verdicts)) continue;
      this.#watched.delete(entry);
      entry.lost();
    }
    verdicts.clear();
  }

  #holds(socket: TLSSocket, verdicts: Map<string, boolean>): boolean {
    const leaf = socket.getPeerX509Certificate();
    // It is closing.
    if (leaf === undefined) return false;
    const known = verdicts.get(leaf.fingerprint256);
    if (known !== undefined) return known;
    let holds = true;
    try {
      this.#tools.verify(socket);
    } catch {
      holds = false;
    }
    verdicts.set(leaf.fingerprint256, holds);
    return holds;
  }
}
