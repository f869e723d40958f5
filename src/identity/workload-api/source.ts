import type { Unsubscribe } from '../../runtime/abort.js';
import type { Timer } from '../../runtime/clock.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { X509Bundle } from '../bundle.js';
import type { JwtBundle } from '../jwt-bundle.js';
import { JwtCache, type JwtSource } from '../jwt-source.js';
import { type JwtSvid, type JwtSvidOptions, validateJwtSvid } from '../jwt-svid.js';
import type { RotatingSource } from '../rotation.js';
import { createSettableSource } from '../source.js';
import type { SpiffeId } from '../spiffe-id.js';
import type { X509Svid } from '../x509-svid.js';
import {
  createWorkloadApiClient,
  type WorkloadApiClient,
  type WorkloadApiOptions,
  type WorkloadWatch,
} from './client.js';
import type { HintedSvid, X509Context } from './messages.js';

const READY_TIMEOUT_MS = 15_000;

/** Where the identity comes from, and which one when there are several. */
export interface WorkloadApiSourceOptions extends WorkloadApiOptions {
  /** Chooses among several SVIDs; the first when absent. Undefined = none of them is for this process. */
  readonly pick?: ((svids: readonly HintedSvid[]) => HintedSvid | undefined) | undefined;
  /** The SVID with this hint; instead of `pick`. */
  readonly hint?: string | undefined;
  /** After this long without an identity `ready` rejects; default 15 seconds. */
  readonly readyTimeoutMs?: number | undefined;
}

/** An identity that the SPIFFE Workload API keeps current. */
export interface WorkloadApiSource extends RotatingSource, JwtSource {
  /** Every SVID of this workload. */
  svids(): readonly HintedSvid[];
  /** The keys that sign the JWT-SVIDs of a trust domain; undefined when it is not trusted, or not heard of yet. */
  jwtBundle(trustDomain: string): JwtBundle | undefined;
  /** Validates a token of a peer by the keys that the Workload API sends; waits for them when this is the first. */
  validateJwtSvid(token: string, options: Omit<JwtSvidOptions, 'nowMs'>): Promise<JwtSvid>;
}

/** Follows the Workload API: certificates, bundles of all trust domains to verify peers with, and tokens on demand. */
export function createWorkloadApiSource(options: WorkloadApiSourceOptions): WorkloadApiSource {
  return new ApiSource(options);
}

class ApiSource implements WorkloadApiSource {
  readonly ready: Promise<void>;
  readonly #options: WorkloadApiSourceOptions;
  readonly #client: WorkloadApiClient;
  readonly #source = createSettableSource();
  readonly #watch: WorkloadWatch;
  readonly #jwts: JwtCache;
  readonly #readyTimer: Timer;
  #settleReady: (error?: MeshError) => void = () => {};
  #context: X509Context = NOTHING;
  #lastError: MeshError | undefined;
  #jwtBundles: JwtBundles | undefined;

  constructor(options: WorkloadApiSourceOptions) {
    this.#options = options;
    const { clock, logger, readyTimeoutMs = READY_TIMEOUT_MS } = options;
    this.#client = createWorkloadApiClient(options);
    this.#jwts = new JwtCache((audience, id) => this.#fetchJwt(audience, id), { clock, logger });
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => {
        this.#readyTimer.cancel();
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    // Nobody has to wait for it; whoever does still sees the rejection.
    this.ready.catch(() => {});
    // Keeps the process alive: the stream alone does not, and somebody may wait.
    this.#readyTimer = clock.schedule(
      readyTimeoutMs,
      () => this.#settleReady(this.#lastError ?? tooLate(options.endpoint)),
      true,
    );
    this.#watch = this.#client.watchX509Context({
      update: (context) => this.#update(context),
      withdrawn: () => this.#update(NOTHING),
      failed: (error) => {
        this.#lastError = error;
        if (error.code === 'INMESH_UNSUPPORTED') this.#settleReady(error);
      },
    });
  }

  svid(): X509Svid | undefined {
    return this.#source.svid();
  }

  svids(): readonly HintedSvid[] {
    return this.#context.svids;
  }

  bundle(trustDomain: string): X509Bundle | undefined {
    return this.#source.bundle(trustDomain);
  }

  /** Workload API §4.6: the bundles are there so that this workload talks across trust domains. */
  federated(): readonly string[] {
    return this.#source.federated?.() ?? [];
  }

  onUpdate(listener: () => void): Unsubscribe {
    return this.#source.onUpdate(listener);
  }

  jwtBundle(trustDomain: string): JwtBundle | undefined {
    return this.#followJwtBundles().current.get(trustDomain);
  }

  fetchJwtSvid(audience: string | readonly string[], id?: SpiffeId): Promise<JwtSvid> {
    return this.#jwts.fetchJwtSvid(audience, id);
  }

  async validateJwtSvid(token: string, options: Omit<JwtSvidOptions, 'nowMs'>): Promise<JwtSvid> {
    const bundles = this.#followJwtBundles();
    await bundles.first;
    const nowMs = this.#options.clock.wallTime();
    return validateJwtSvid(token, (name) => bundles.current.get(name), { ...options, nowMs });
  }

  /** The agent renews by itself; what can be done is to find it again at once. */
  async renewNow(): Promise<void> {
    this.#watch.hurry();
    if (this.svid() === undefined) await this.ready;
  }

  close(): void {
    this.#settleReady(new MeshError('INMESH_CLOSED', 'the identity source is closed'));
    this.#watch.close();
    this.#jwtBundles?.close();
  }

  #update(context: X509Context): void {
    const chosen = this.#pick(context.svids);
    this.#context = context;
    // Tokens name the identities that this workload had.
    if (this.svid()?.id.toString() !== chosen?.svid.id.toString()) this.#jwts.clear();
    this.#source.set({
      svid: chosen?.svid,
      bundles: [...context.bundles.values()],
      federated: [...context.bundles.keys()],
    });
    if (chosen === undefined) return;
    this.#lastError = undefined;
    this.#settleReady();
    this.#options.logger.debug({ id: chosen.svid.id.toString() }, 'the Workload API sent a certificate');
  }

  #pick(svids: readonly HintedSvid[]): HintedSvid | undefined {
    const { pick, hint, logger } = this.#options;
    if (pick === undefined) return hint === undefined ? svids[0] : svids.find((one) => one.hint === hint);
    try {
      return pick(svids);
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'the choice of an SVID failed; none is used');
      return undefined;
    }
  }

  async #fetchJwt(audience: readonly string[], id: SpiffeId | undefined): Promise<JwtSvid> {
    // The identity that connections have is the one that tokens have, too.
    const [svid] = await this.#client.fetchJwtSvids(audience, id ?? this.svid()?.id);
    if (svid === undefined) throw tooLate(this.#options.endpoint);
    return svid;
  }

  /** From the first token on: most workloads never see one. */
  #followJwtBundles(): JwtBundles {
    this.#jwtBundles ??= new JwtBundles(this.#client, this.#options);
    return this.#jwtBundles;
  }
}

class JwtBundles {
  current: ReadonlyMap<string, JwtBundle> = new Map();
  /** Settles with the first bundles, or when they could not be had. */
  readonly first: Promise<void>;
  readonly #watch: WorkloadWatch;
  readonly #timer: Timer;

  constructor(
    client: WorkloadApiClient,
    { clock, readyTimeoutMs = READY_TIMEOUT_MS }: WorkloadApiSourceOptions,
  ) {
    let settle = () => {};
    this.first = new Promise((resolve) => {
      settle = resolve;
    });
    this.#timer = clock.schedule(readyTimeoutMs, settle, true);
    const done = () => {
      this.#timer.cancel();
      settle();
    };
    this.#watch = client.watchJwtBundles({
      update: (bundles) => {
        this.current = bundles;
        done();
      },
      withdrawn: () => {
        this.current = new Map();
      },
      failed: done,
    });
  }

  close(): void {
    this.#timer.cancel();
    this.#watch.close();
  }
}

const NOTHING: X509Context = { svids: [], bundles: new Map() };

function tooLate(endpoint: string): MeshError {
  return new MeshError('INMESH_IDENTITY_UNAVAILABLE', 'the Workload API sent no certificate in time', {
    resource: endpoint,
    hint: 'Check that the agent runs and that this workload is registered with it',
  });
}
