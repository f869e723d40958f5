import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import { type Logger, silentLogger } from '../../runtime/log.js';
import type { AuthorityLife } from './authority-life.js';
import type { CaState } from './ca-state.js';
import type { IssuedCertificate, LifePolicy } from './issuer.js';
import type { ImportedRoot, OwnOrigin } from './own-origin.js';
import {
  abandon,
  activate,
  automatic,
  type ClientCount,
  distribute,
  isReady,
  prepare,
  retire,
  rootIn,
} from './root-rotation.js';

const DAY_MS = 86_400_000;
/** What was sent a moment ago may not be in force everywhere yet, also where it was acknowledged. */
const TRUST_SETTLE_MS = 2_000;
/** Who has a new certificate still finishes what runs on connections of the old one. */
const RENEW_SETTLE_MS = 5_000;
const MAX_HOLDERS = 200_000;

/** How far the connected clients are. */
export interface RotationClients {
  /** Those that acknowledged the bundle in force. */
  readonly trusting: ClientCount;
  /** Those that have a certificate of the root that signs now. */
  readonly renewed: ClientCount;
}

/** Whether a step is taken although clients are not ready for it. */
export interface StepOptions {
  readonly force?: boolean;
}

/** How a rotation begins. */
export interface BeginOptions {
  /** It waits for `activate`, and does not go on by itself. */
  readonly waits?: boolean;
  /** The new root, in place of one that is made. */
  readonly root?: ImportedRoot;
}

/** The life of roots: each step is on the disk before it is in force, so a crash leaves the one before or the one after. */
export interface CaRotation {
  /** Makes a new root and tells everybody; it goes on by itself (`advance`) unless it is to wait for `activate`. */
  begin(options?: BeginOptions): Promise<void>;
  /** A new root that waits goes on by itself. */
  goOn(): Promise<void>;
  /** The new root signs from now on. Refused with INMESH_CA_ROTATION while less than 99 % of clients trust it. */
  activate(options?: StepOptions): Promise<void>;
  /** The old root is distrusted. Refused while less than 99 % of clients have a certificate of the new one. */
  retire(options?: StepOptions): Promise<void>;
  /** Gives up a new root that does not sign yet. */
  abandon(): Promise<void>;
  /** Takes the steps that may be taken; true when there was one. */
  advance(clients: RotationClients): Promise<boolean>;
  /** A client got a certificate. */
  holds(id: string, instance: string | undefined, issued: IssuedCertificate): void;
  /** Whether a client got a certificate from this process. */
  knows(id: string, instance: string): boolean;
  /** Whether a client has a certificate of the root that signs now. */
  hasRenewed(id: string, instance: string): boolean;
}

interface RotationOptions extends LifePolicy {
  readonly clock: Clock;
  readonly logger?: Logger;
}

export function createRotation(
  life: AuthorityLife,
  own: OwnOrigin | undefined,
  options: RotationOptions,
): CaRotation {
  return new RotationSteps(life, own, options);
}

class RotationSteps implements CaRotation {
  readonly #life: AuthorityLife;
  readonly #own: OwnOrigin | undefined;
  readonly #options: RotationOptions;
  /** Fingerprint of the root of the newest certificate of a client. */
  readonly #holders = new Map<string, string>();
  #clients: RotationClients = { trusting: { live: 0, ready: 0 }, renewed: { live: 0, ready: 0 } };
  #lastNotAfterMs: number;
  /** What clients are ready for, and since when. */
  #settling: { readonly what: string; readonly sinceMs: number } | undefined;

  constructor(life: AuthorityLife, own: OwnOrigin | undefined, options: RotationOptions) {
    this.#life = life;
    this.#own = own;
    this.#options = options;
    // Whoever was issued to before this start is not known: it may have got the longest life there is.
    this.#lastNotAfterMs = options.clock.wallTime() + (options.maxWorkloadLifeMs ?? 90 * DAY_MS);
  }

  async begin({ waits = false, root }: BeginOptions = {}): Promise<void> {
    const own = this.#own;
    if (own === undefined) {
      throw new MeshError('INMESH_CA_ROTATION', 'the roots of this authority are made elsewhere', {
        resource: 'certificate authority',
        hint: 'Plug an authority of the new root in: its files are read again when they change',
      });
    }
    // One step: whoever looks after the same state would send a root that is only prepared by itself.
    await this.#step('a new root is made and sent to clients', async (state) => {
      const made = root === undefined ? await own.newRoot(!waits) : own.importRoot(root, !waits);
      return distribute(prepare(state, made), this.#now());
    });
  }

  async goOn(): Promise<void> {
    await this.#step('the new root goes on by itself', automatic);
  }

  async activate({ force = false }: StepOptions = {}): Promise<void> {
    await this.#step('the new root signs', (state) =>
      activate(state, this.#now(), force ? 'forced' : this.#clients.trusting),
    );
    // Its intermediate, where there is one.
    await this.#life.refresh();
  }

  async retire({ force = false }: StepOptions = {}): Promise<void> {
    await this.#step('the old root is distrusted', (state) =>
      retire(state, force ? 'forced' : this.#clients.renewed, this.#endOf(rootIn(state, 'retiring'))),
    );
  }

  async abandon(): Promise<void> {
    await this.#step('the new root is given up', (state) =>
      abandon(state, this.#endOf(rootIn(state, 'prepared') ?? rootIn(state, 'distributing'))),
    );
  }

  async advance(clients: RotationClients): Promise<boolean> {
    this.#clients = clients;
    const { state } = this.#life;
    const now = this.#now();
    const next = rootIn(state, 'distributing');
    if (next?.isAutomatic === true) {
      if (!this.#isSettled(`${next.fingerprint} trusting`, isReady(clients.trusting), TRUST_SETTLE_MS))
        return false;
      await this.activate();
      return true;
    }
    const old = rootIn(state, 'retiring');
    if (old === undefined) return false;
    // Without clients there is nobody to ask: then what it signed has to expire.
    const isRenewed = clients.renewed.live > 0 && isReady(clients.renewed) && isReady(clients.trusting);
    const isOver =
      now > this.#lastNotAfterMs && now - old.sinceMs > (this.#options.maxWorkloadLifeMs ?? 90 * DAY_MS);
    if (!isOver && !this.#isSettled(`${old.fingerprint} renewed`, isRenewed, RENEW_SETTLE_MS)) return false;
    await this.retire({ force: isOver });
    return true;
  }

  /** Whether something has been so for a while. */
  #isSettled(what: string, isSo: boolean, ms: number): boolean {
    const now = this.#now();
    if (!isSo) this.#settling = undefined;
    else if (this.#settling?.what !== what) this.#settling = { what, sinceMs: now };
    return this.#settling !== undefined && now - this.#settling.sinceMs >= ms;
  }

  holds(id: string, instance: string | undefined, { notAfterMs }: IssuedCertificate): void {
    this.#lastNotAfterMs = Math.max(this.#lastNotAfterMs, notAfterMs);
    if (instance === undefined) return;
    const key = `${id} ${instance}`;
    this.#holders.delete(key);
    this.#holders.set(key, this.#active());
    const [oldest] = this.#holders.keys();
    if (this.#holders.size > MAX_HOLDERS && oldest !== undefined) this.#holders.delete(oldest);
  }

  knows(id: string, instance: string): boolean {
    return this.#holders.has(`${id} ${instance}`);
  }

  hasRenewed(id: string, instance: string): boolean {
    return this.#holders.get(`${id} ${instance}`) === this.#active();
  }

  async #step(what: string, step: (state: CaState) => CaState | Promise<CaState>): Promise<void> {
    const { trustDomain, sequence } = await this.#life.change(step);
    (this.#options.logger ?? silentLogger).warn({ trustDomain, sequence }, `rotation of roots: ${what}`);
  }

  #active(): string {
    return rootIn(this.#life.state, 'active')?.fingerprint ?? '';
  }

  #endOf(root: { readonly certificatePem: string } | undefined): number {
    const read = this.#life.trust.bundle.certificates;
    const index = this.#life.trust.bundle.authorities.indexOf(root?.certificatePem ?? '');
    return read[index]?.facts.notAfterMs ?? this.#now() + 3650 * DAY_MS;
  }

  #now(): number {
    return this.#options.clock.wallTime();
  }
}
