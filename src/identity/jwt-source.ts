import type { Clock } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { JwtSvid } from './jwt-svid.js';
import type { SpiffeId } from './spiffe-id.js';

/** Audiences that tokens are kept for; more, and the one asked for least recently is fetched again. */
const MAX_KEPT = 1000;
/** A token this close to its end may be refused when it arrives. */
const TOO_LATE_MS = 5000;

/** Gets a new token for an audience, of one identity or of the default one. */
export type FetchJwtSvid = (audience: readonly string[], id: SpiffeId | undefined) => Promise<JwtSvid>;

/** Supplies this workload's tokens. */
export interface JwtSource {
  /** A token for this audience that has not reached half of its life, or a newer one is on its way. */
  fetchJwtSvid(audience: string | readonly string[], id?: SpiffeId): Promise<JwtSvid>;
}

interface Kept {
  readonly svid: JwtSvid;
  /** When it is to be replaced. */
  readonly renewAtMs: number;
}

/** What a source of tokens works with. */
export interface JwtSourceTools {
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Keeps one token for each audience. At half of its life the next caller still gets it, and sets off the fetch of its
 * successor; one that has expired, or is about to, is waited for. Nothing is fetched that nobody asks for.
 */
export class JwtCache implements JwtSource {
  readonly #fetch: FetchJwtSvid;
  readonly #tools: JwtSourceTools;
  readonly #kept = new Map<string, Kept>();
  readonly #fetching = new Map<string, Promise<JwtSvid>>();
  #generation = 0;

  constructor(fetch: FetchJwtSvid, tools: JwtSourceTools) {
    this.#fetch = fetch;
    this.#tools = tools;
  }

  async fetchJwtSvid(audience: string | readonly string[], id?: SpiffeId): Promise<JwtSvid> {
    const names = (typeof audience === 'string' ? [audience] : [...audience]).sort();
    const key = JSON.stringify([id?.toString() ?? '', ...names]);
    const now = this.#tools.clock.wallTime();
    const kept = this.#kept.get(key);
    if (kept === undefined || now >= kept.svid.expiresAtMs - TOO_LATE_MS) return this.#renew(key, names, id);
    if (now >= kept.renewAtMs) {
      this.#renew(key, names, id).catch((error: unknown) => {
        this.#tools.logger.warn(
          { audience: names, error: messageOf(error) },
          'no new JWT-SVID; the last one is used',
        );
      });
    }
    // Asked for last, so dropped last.
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.svid;
  }

  /** Forgets every token: whoever asks gets a new one. */
  clear(): void {
    this.#generation++;
    this.#kept.clear();
    this.#fetching.clear();
  }

  #renew(key: string, names: readonly string[], id: SpiffeId | undefined): Promise<JwtSvid> {
    const running = this.#fetching.get(key);
    if (running !== undefined) return running;
    const generation = this.#generation;
    const renewal = this.#fetch(names, id)
      .then((svid) => {
        if (generation === this.#generation) this.#keep(key, svid);
        return svid;
      })
      .finally(() => {
        if (this.#fetching.get(key) === renewal) this.#fetching.delete(key);
      });
    this.#fetching.set(key, renewal);
    return renewal;
  }

  #keep(key: string, svid: JwtSvid): void {
    const now = this.#tools.clock.wallTime();
    const startMs = Math.min(svid.issuedAtMs ?? now, now);
    this.#kept.delete(key);
    this.#kept.set(key, { svid, renewAtMs: startMs + (svid.expiresAtMs - startMs) / 2 });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }
}
