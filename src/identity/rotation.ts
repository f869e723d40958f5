import type { Unsubscribe } from '../runtime/abort.js';
import { type Backoff, createBackoff } from '../runtime/backoff.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { codeOf, MeshError, messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import type { X509Bundle } from './bundle.js';
import type { CachedIdentity, IdentityCache } from './identity-cache.js';
import { createRootChange } from './root-change.js';
import { createSettableSource, type IdentitySource } from './source.js';
import { needsRenewal, type Trust } from './trust.js';
import { atWallTime } from './wall-timer.js';
import type { X509Svid } from './x509-svid.js';

/** How long a start waits for a fresh certificate before it goes on with a saved one. */
const PREFER_FRESH_MS = 250;
const READY_TIMEOUT_MS = 15_000;
/** An authority whose clock is far behind issues what has expired already: that must not become a busy loop. */
const MIN_RENEWAL_MS = 1000;
const FIRST_RETRY_MS = 100;
/** Without any certificate nothing works, so retries stay close; with one there is time. */
const MAX_RETRY_WITHOUT_SVID_MS = 1000;
const MAX_RETRY_MS = 30_000;

export interface RotationOptions {
  /** Gets a new certificate; called again, with growing waits, while it fails. */
  readonly obtain: (signal: AbortSignal) => Promise<CachedIdentity>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly cache?: IdentityCache | undefined;
  /** After this long without an identity `ready` rejects; default 15 seconds. */
  readonly readyTimeoutMs?: number | undefined;
}

/** A source that renews its certificate by itself. */
export interface RotatingSource extends IdentitySource {
  /** Settles with the first identity; rejects when none came in time, while the source keeps trying. */
  readonly ready: Promise<void>;
  /** Gets a new certificate now, or joins the renewal that is under way. */
  renewNow(): Promise<void>;
  /** Takes what the control plane says of whom to trust; absent where something else decides that. */
  trust?(trust: Trust): void;
  /** Stops renewing; the last certificate stays readable. */
  close(): void;
}

/** Renews at half of a certificate's life, plus or minus 5 % of it by chance, and for as long as it takes. */
export function createRotatingSource(options: RotationOptions): RotatingSource {
  const rotation = new Rotation(options);
  rotation.start();
  return rotation;
}

class Rotation implements RotatingSource {
  readonly ready: Promise<void>;
  readonly #options: RotationOptions;
  readonly #source = createSettableSource();
  readonly #inForce;
  readonly #closing = new AbortController();
  #settleReady: (error?: unknown) => void = () => {};
  #renewal: Promise<void> | undefined;
  #timer: Timer | undefined;
  /** A renewal before its time, because of what is trusted. */
  #early: Timer | undefined;
  #lastError: unknown;
  /** Level and code of what the log was told last; undefined after a success. */
  #told: string | undefined;
  /** Loaded, but not in use as long as a fresh one may come at once. */
  #saved: CachedIdentity | undefined;

  constructor(options: RotationOptions) {
    this.#options = options;
    this.#inForce = createRootChange((state) => this.#source.set(state), options.clock);
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Nobody has to wait for it; whoever does still sees the rejection.
    this.ready.catch(() => {});
  }

  svid(): X509Svid | undefined {
    return this.#source.svid();
  }

  bundle(trustDomain: string): X509Bundle | undefined {
    return this.#source.bundle(trustDomain);
  }

  onUpdate(listener: () => void): Unsubscribe {
    return this.#source.onUpdate(listener);
  }

  start(): void {
    const { clock, readyTimeoutMs = READY_TIMEOUT_MS } = this.#options;
    const giveUp = clock.schedule(readyTimeoutMs, () => this.#settleReady(this.#lastError ?? unavailable()));
    const settle = () => giveUp.cancel();
    this.ready.then(settle, settle);
    void this.#loadSaved();
    this.#renew().catch(() => {});
  }

  federated(): readonly string[] {
    return this.#source.federated?.() ?? [];
  }

  renewNow(): Promise<void> {
    return this.#renew();
  }

  trust(trust: Trust): void {
    if (this.#closing.signal.aborted) return;
    const { clock, random } = this.#options;
    this.#inForce.trust(trust);
    const current = this.#inForce.current();
    if (current === undefined) return;
    void this.#save(current);
    this.#early?.cancel();
    this.#early = undefined;
    if (!needsRenewal(current.svid, trust)) return;
    // All members hear of it at once: the authority is asked by one after the other.
    this.#early = clock.schedule(random() * trust.renewWithinMs, () => void this.#renew().catch(() => {}));
  }

  close(): void {
    this.#timer?.cancel();
    this.#early?.cancel();
    this.#inForce.close();
    const closed = new MeshError('INMESH_CLOSED', 'the identity source is closed');
    this.#closing.abort(closed);
    this.#settleReady(closed);
  }

  async #loadSaved(): Promise<void> {
    const { cache, clock, logger } = this.#options;
    try {
      const saved = await cache?.load();
      if (saved === undefined || !isCurrent(saved.svid, clock)) return;
      this.#saved = saved;
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'the saved identity is not used');
      return;
    }
    // After a failure there is nothing to wait for.
    clock.schedule(this.#lastError === undefined ? PREFER_FRESH_MS : 0, () => this.#useSaved());
  }

  #useSaved(): void {
    if (this.#saved === undefined || this.svid() !== undefined || this.#closing.signal.aborted) return;
    this.#options.logger.warn({ id: this.#saved.svid.id.toString() }, 'starting with the saved identity');
    this.#inForce.use(this.#saved);
    this.#settleReady();
  }

  #renew(): Promise<void> {
    this.#timer?.cancel();
    this.#early?.cancel();
    this.#renewal ??= this.#obtain();
    return this.#renewal;
  }

  async #obtain(): Promise<void> {
    const { obtain, random } = this.#options;
    const { default: pRetry } = await import('p-retry');
    const backoff = createBackoff({ baseMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, jitter: 0.2 }, random);
    const { signal } = this.#closing;
    try {
      const identity = await pRetry(() => obtain(signal).catch(rethrow), {
        retries: Number.POSITIVE_INFINITY,
        // It drives the attempts; the waits are ours, on our clock, growing with jitter.
        minTimeout: 0,
        factor: 1,
        signal,
        onFailedAttempt: ({ error }) => this.#afterFailure(error, backoff),
      });
      this.#use(identity);
    } catch (error) {
      this.#renewal = undefined;
      throw error;
    }
  }

  #use(identity: CachedIdentity): void {
    this.#lastError = undefined;
    this.#told = undefined;
    this.#saved = undefined;
    // Over before anybody is told, so that a listener may ask for another one.
    this.#renewal = undefined;
    this.#planRenewal(identity.svid);
    this.#inForce.use(identity);
    this.#settleReady();
    this.#options.logger.debug({ id: identity.svid.id.toString() }, 'certificate renewed');
    void this.#save(this.#inForce.current() ?? identity);
  }

  async #afterFailure(error: Error, backoff: Backoff): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#closing;
    if (signal.aborted) return;
    this.#lastError = error;
    const svid = this.svid();
    const level = svid !== undefined && isCurrent(svid, clock) ? 'warn' : 'error';
    // Once for each cause: the attempts that follow fail for the same reason.
    const trouble = `${level} ${codeOf(error)}`;
    logger[trouble === this.#told ? 'debug' : level](
      { error: messageOf(error) },
      'no new certificate; trying again',
    );
    this.#told = trouble;
    this.#useSaved();
    // A refusal does not pass by itself: whoever waits should know at once.
    if (MeshError.is(error) && error.code === 'INMESH_CA_REFUSED') this.#settleReady(error);
    const leftMs = (this.svid()?.notAfterMs ?? 0) - clock.wallTime();
    const capMs = Math.max(MAX_RETRY_WITHOUT_SVID_MS, leftMs / 10);
    await pause(clock, Math.min(backoff.next(), capMs), signal);
  }

  #planRenewal(svid: X509Svid): void {
    const { clock, random } = this.#options;
    const now = clock.wallTime();
    const share = 0.5 + (random() * 2 - 1) * 0.05;
    const whenMs = now + Math.max(MIN_RENEWAL_MS, (svid.notAfterMs - now) * share);
    const renew = () => void this.#renew().catch(() => {});
    this.#timer?.cancel();
    if (!this.#closing.signal.aborted) this.#timer = atWallTime(clock, whenMs, renew, svid.notBeforeMs);
  }

  async #save(identity: CachedIdentity): Promise<void> {
    try {
      await this.#options.cache?.save(identity);
    } catch (error) {
      this.#options.logger.warn({ error: messageOf(error) }, 'the identity could not be saved');
    }
  }
}

function isCurrent(svid: X509Svid, clock: Clock): boolean {
  const now = clock.wallTime();
  return now >= svid.notBeforeMs && now < svid.notAfterMs;
}

/** Waits without keeping the process alive; ends early when the signal aborts. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      timer.cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.schedule(delayMs, finish);
    signal.addEventListener('abort', finish);
  });
}

/** p-retry takes a TypeError for a bug and stops; whatever goes wrong here, the next attempt may work. */
function rethrow(error: unknown): never {
  if (MeshError.is(error)) throw error;
  throw new MeshError('INMESH_CA_UNAVAILABLE', `no certificate could be had: ${messageOf(error)}`, {
    cause: error,
    hint: 'See the cause; this process keeps trying',
  });
}

function unavailable(): MeshError {
  return new MeshError('INMESH_CA_UNAVAILABLE', 'no certificate came in time', {
    hint: 'Start the control plane (npx inmesh dev), or check its address; this process keeps trying',
  });
}
