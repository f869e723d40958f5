import { createX509Bundle } from '../../identity/bundle.js';
import { writePem } from '../../identity/pem.js';
import type { ReadCertificate } from '../../identity/read-certificate.js';
import { fingerprintOf } from '../../identity/trust.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { AuthorityOrigin } from './authority-life.js';
import type { CaState, StoredRoot } from './ca-state.js';
import type { IssuingAuthority } from './issuing-authority.js';
import {
  type LoadedAuthority,
  loadPluggedAuthority,
  type PluggedCa,
  pluggedPaths,
  stampOf,
} from './plugged-authority.js';
import { abandon, activate, distribute, prepare, retire, rootIn } from './root-rotation.js';

export interface PluggedOriginOptions {
  readonly trustDomain: string;
  readonly files: PluggedCa;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * An authority whose intermediate comes from files. A new intermediate of the same root signs at once; one of another
 * root signs when clients know that root, and until then the one before goes on.
 */
export class PluggedOrigin implements AuthorityOrigin {
  readonly #options: PluggedOriginOptions;
  /** What was in the files, by the fingerprint of its root; of each root the newest. */
  readonly #known = new Map<string, IssuingAuthority>();
  #loaded: LoadedAuthority;
  #stamp: string;

  private constructor(options: PluggedOriginOptions, loaded: LoadedAuthority, stamp: string) {
    this.#options = options;
    this.#loaded = loaded;
    this.#stamp = stamp;
    this.#remember(loaded);
  }

  /** Reads the files; @throws MeshError when they don't hold. */
  static async open(options: PluggedOriginOptions): Promise<PluggedOrigin> {
    const { files, trustDomain, clock } = options;
    const stamp = await stampOf(pluggedPaths(files));
    const loaded = await loadPluggedAuthority(files, { trustDomain, nowMs: clock.wallTime() });
    return new PluggedOrigin(options, loaded, stamp);
  }

  begin(): Promise<CaState> {
    const { trustDomain } = this.#options;
    const root = this.#root();
    return Promise.resolve({
      trustDomain,
      sequence: 1,
      roots: [{ ...root, phase: 'active' }],
      distrusted: [],
      revocations: [],
    });
  }

  takeOver(pem: string): CaState {
    const { trustDomain, clock } = this.#options;
    const [root] = createX509Bundle(trustDomain, pem).certificates;
    if (root === undefined) throw new TypeError('a saved authority without a root');
    const old: StoredRoot = { ...stored(root, clock.wallTime()), phase: 'active' };
    return { trustDomain, sequence: 1, roots: [old], distrusted: [], revocations: [] };
  }

  async adapt(state: CaState, isStart: boolean): Promise<CaState> {
    if (!isStart) await this.#reload();
    const { clock } = this.#options;
    const now = clock.wallTime();
    const root = this.#root();
    const active = rootIn(state, 'active');
    if (active?.fingerprint === root.fingerprint) return state;
    if (state.distrusted.some(({ fingerprint }) => fingerprint === root.fingerprint)) throw distrusted(root);
    // Whoever signed until now can't any more: there is nothing to wait for.
    const signing = active && this.#known.get(active.fingerprint);
    const mustSign = signing === undefined || signing.notAfterMs <= now;
    const next = this.#distributing(state, root, now);
    return mustSign ? activate(next, now, 'forced') : next;
  }

  issuing(state: CaState): IssuingAuthority | undefined {
    return this.#known.get(rootIn(state, 'active')?.fingerprint ?? '');
  }

  moreRoots(): string {
    return this.#loaded.roots;
  }

  #distributing(state: CaState, root: StoredRoot, now: number): CaState {
    const under = rootIn(state, 'distributing');
    if (under?.fingerprint === root.fingerprint) return state;
    let next = state;
    const notAfter = now + 3650 * 86_400_000;
    // Files are the operator's word: what was under way before them ends.
    if (under !== undefined || rootIn(next, 'prepared') !== undefined) next = abandon(next, notAfter);
    if (rootIn(next, 'retiring')?.fingerprint === root.fingerprint)
      next = { ...next, roots: next.roots.filter(({ fingerprint }) => fingerprint !== root.fingerprint) };
    else if (rootIn(next, 'retiring') !== undefined) next = retire(next, 'forced', notAfter);
    return distribute(prepare(next, root), now);
  }

  async #reload(): Promise<void> {
    const { files, trustDomain, clock, logger } = this.#options;
    const stamp = await stampOf(pluggedPaths(files));
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      this.#loaded = await loadPluggedAuthority(files, { trustDomain, nowMs: clock.wallTime() });
      this.#remember(this.#loaded);
      logger.info({ resource: pluggedPaths(files)[0] }, 'the certificate authority was read anew');
    } catch (error) {
      // Half written, or wrong: what was there before goes on, and the next change is looked at again.
      logger.error(
        { error: messageOf(error) },
        'the changed files of the certificate authority are not used',
      );
    }
  }

  #remember({ authority }: LoadedAuthority): void {
    this.#known.set(fingerprintOf(authority.root), authority);
  }

  #root(): StoredRoot {
    return stored(this.#loaded.authority.root, this.#options.clock.wallTime());
  }
}

function stored(root: ReadCertificate, nowMs: number): StoredRoot {
  return {
    fingerprint: fingerprintOf(root),
    phase: 'prepared',
    certificatePem: writePem(root.certificate.raw, 'CERTIFICATE'),
    isAutomatic: true,
    sinceMs: nowMs,
    intermediates: [],
  };
}

function distrusted({ fingerprint }: StoredRoot): MeshError {
  return new MeshError(
    'INMESH_CA_UNFIT',
    'the root that was plugged in was retired before, and clients distrust it',
    {
      resource: fingerprint,
      hint: 'Plug an authority of another root in',
    },
  );
}
