import { readFile } from 'node:fs/promises';
import type { Unsubscribe } from '../../runtime/abort.js';
import { writeFileAtomic } from '../../runtime/atomic-file.js';
import { type Backoff, createBackoff } from '../../runtime/backoff.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { codeOf, MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { Random } from '../../runtime/random.js';
import type { X509Bundle } from '../bundle.js';
import { encodeSpiffeBundle, parseSpiffeBundle, type SpiffeBundle } from '../spiffe-bundle.js';
import { parseSpiffeId, parseTrustDomain, type SpiffeId } from '../spiffe-id.js';
import { bundleUrl, type EndpointTrust, fetchBundle } from './fetch.js';

/** SPIFFE Federation §4.1: without a hint. */
const DEFAULT_REFRESH_MS = 300_000;
const MIN_REFRESH_MS = 10_000;
const MAX_REFRESH_MS = 86_400_000;
const FIRST_RETRY_MS = 1000;
const JITTER = 0.1;

/** The server has a certificate of the web for the host of the URL. */
export interface WebProfile {
  readonly kind: 'https_web';
  /** PEM of the roots to trust; the platform's when absent. */
  readonly roots?: readonly string[] | undefined;
}

/** The server has an X.509-SVID. */
export interface SpiffeProfile {
  readonly kind: 'https_spiffe';
  /** The SPIFFE ID of the server. */
  readonly endpointId: string;
  /** What verifies the server at first, when its trust domain is the one fetched; later it is the last one fetched. */
  readonly bundle?: SpiffeBundle | undefined;
  /** What verifies the server when it is of another trust domain. */
  readonly bundleOf?: ((trustDomain: string) => X509Bundle | undefined) | undefined;
}

/** Where the bundle of a trust domain is published, and how its server proves who it is. */
export interface BundleEndpointOptions {
  /** Whose bundle it is: the document does not say so. */
  readonly trustDomain: string;
  readonly url: string;
  readonly profile: WebProfile | SpiffeProfile;
  /** Keeps the last good bundle over a restart. */
  readonly file?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A bundle that is fetched again and again. */
export interface BundleSource {
  readonly trustDomain: string;
  /** The last good bundle; undefined while there is none. */
  bundle(): SpiffeBundle | undefined;
  onUpdate(listener: () => void): Unsubscribe;
  /** Settles with the first bundle; rejects when the first attempt failed, while the source keeps trying. */
  readonly ready: Promise<void>;
  /** Fetches now; rejects, and keeps the last bundle, when that fails. */
  refresh(): Promise<void>;
  close(): void;
}

/**
 * Follows a SPIFFE bundle endpoint (SPIFFE Federation §5): as often as the bundle hints (10 seconds to a day, 5 minutes
 * without a hint, plus or minus 10 % by chance). No redirects; a bundle with a lower sequence is an old one and not used.
 * @throws MeshError `INMESH_OPTION_INVALID` or `INMESH_SPIFFE_ID`.
 */
export function createBundleEndpointSource(options: BundleEndpointOptions): BundleSource {
  const source = new EndpointSource(options);
  source.start();
  return source;
}

class EndpointSource implements BundleSource {
  readonly trustDomain: string;
  readonly ready: Promise<void>;
  readonly #options: BundleEndpointOptions;
  readonly #url: URL;
  readonly #serverId: SpiffeId | undefined;
  readonly #backoff: Backoff;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #settleReady: (error?: unknown) => void = () => {};
  #bundle: SpiffeBundle | undefined;
  #text: string | undefined;
  #timer: Timer | undefined;
  #refresh: Promise<void> | undefined;
  /** Code of what the log was told last. */
  #told: string | undefined;

  constructor(options: BundleEndpointOptions) {
    const { profile, random } = options;
    this.#options = options;
    this.trustDomain = parseTrustDomain(options.trustDomain);
    this.#url = bundleUrl(options.url);
    this.#serverId = profile.kind === 'https_spiffe' ? parseSpiffeId(profile.endpointId) : undefined;
    this.#backoff = createBackoff({ baseMs: FIRST_RETRY_MS, maxMs: DEFAULT_REFRESH_MS, jitter: 0.2 }, random);
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Nobody has to wait for it; whoever does still sees the rejection.
    this.ready.catch(() => {});
    if (profile.kind === 'https_spiffe' && profile.bundle?.trustDomain === this.trustDomain)
      this.#bundle = profile.bundle;
  }

  bundle(): SpiffeBundle | undefined {
    return this.#bundle;
  }

  onUpdate(listener: () => void): Unsubscribe {
    // A wrapper, so that the same function may subscribe twice.
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  start(): void {
    void this.#loadSaved().then(() => this.#again());
  }

  refresh(): Promise<void> {
    this.#refresh ??= this.#once();
    return this.#refresh;
  }

  close(): void {
    this.#timer?.cancel();
    const closed = new MeshError('INMESH_CLOSED', 'the source of the bundle is closed');
    this.#closing.abort(closed);
    this.#settleReady(closed);
  }

  async #again(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    let waitMs: number;
    try {
      await this.refresh();
      waitMs = this.#intervalMs();
    } catch (error) {
      this.#afterFailure(error);
      // SPIFFE Federation §6.2: who has a bundle waits for the next time, so as not to overwhelm the server.
      waitMs = this.#text === undefined ? this.#backoff.next() : this.#intervalMs();
    }
    if (this.#closing.signal.aborted) return;
    this.#timer = this.#options.clock.schedule(waitMs, () => void this.#again());
  }

  async #once(): Promise<void> {
    try {
      await this.#fetch();
    } finally {
      this.#refresh = undefined;
    }
    this.#settleReady();
  }

  async #fetch(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#closing;
    const body = await fetchBundle({ url: this.#url, trust: this.#trust(), clock, signal });
    const next = parseSpiffeBundle(this.trustDomain, body);
    signal.throwIfAborted();
    this.#told = undefined;
    if (isOlder(next, this.#bundle)) {
      logger.warn(
        { trustDomain: this.trustDomain, sequence: String(next.sequence) },
        'the bundle endpoint served an old bundle, which is not used',
      );
      return;
    }
    const text = encodeSpiffeBundle(next);
    if (text !== this.#text) {
      this.#use(next, text);
      await this.#save(text);
    }
  }

  #use(bundle: SpiffeBundle, text: string): void {
    this.#bundle = bundle;
    this.#text = text;
    const { logger } = this.#options;
    logger.debug({ trustDomain: this.trustDomain, sequence: String(bundle.sequence) }, 'the bundle changed');
    for (const listener of Array.from(this.#listeners)) listener();
  }

  #trust(): EndpointTrust {
    const { profile } = this.#options;
    if (profile.kind === 'https_web') return { kind: 'https_web', roots: profile.roots };
    const id = this.#serverId ?? parseSpiffeId(profile.endpointId);
    const bundle =
      id.trustDomain === this.trustDomain ? this.#bundle?.x509 : profile.bundleOf?.(id.trustDomain);
    // Without roots Node would trust those of the web.
    if (bundle !== undefined && bundle.authorities.length > 0) return { kind: 'https_spiffe', id, bundle };
    throw new MeshError('INMESH_BUNDLE_UNAVAILABLE', 'nothing verifies the server of the bundle endpoint', {
      resource: id.toString(),
      hint: `Give the bundle of ${id.trustDomain} that was had in another way`,
    });
  }

  #afterFailure(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#settleReady(error);
    // Once for each cause: the attempts that follow fail for the same reason.
    const level = codeOf(error) === this.#told ? 'debug' : 'warn';
    this.#told = codeOf(error);
    this.#options.logger[level](
      { trustDomain: this.trustDomain, error: messageOf(error) },
      'the bundle could not be refreshed; the last one is used',
    );
  }

  #intervalMs(): number {
    const hintMs = this.#bundle?.refreshHintMs ?? DEFAULT_REFRESH_MS;
    const intervalMs = Math.min(Math.max(hintMs, MIN_REFRESH_MS), MAX_REFRESH_MS);
    return intervalMs * (1 + (this.#options.random() * 2 - 1) * JITTER);
  }

  async #loadSaved(): Promise<void> {
    const { file, logger } = this.#options;
    if (file === undefined) return;
    try {
      const text = await readFile(file, 'utf8');
      const saved = parseSpiffeBundle(this.trustDomain, text);
      if (!isOlder(saved, this.#bundle) && !this.#closing.signal.aborted)
        this.#use(saved, encodeSpiffeBundle(saved));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT')
        logger.warn({ file, error: messageOf(error) }, 'the saved bundle is not used');
    }
  }

  async #save(text: string): Promise<void> {
    const { file, logger } = this.#options;
    if (file === undefined) return;
    try {
      await writeFileAtomic(file, [Buffer.from(text)], { mode: 0o600, dirMode: 0o700 });
    } catch (error) {
      logger.warn({ file, error: messageOf(error) }, 'the bundle could not be saved');
    }
  }
}

/** SPIFFE bundle §4.1.1: the sequence grows with each change. */
function isOlder(next: SpiffeBundle, current: SpiffeBundle | undefined): boolean {
  return next.sequence !== undefined && current?.sequence !== undefined && next.sequence < current.sequence;
}
