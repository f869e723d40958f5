import { createX509Bundle } from '../../identity/bundle.js';
import type { ReadCertificate } from '../../identity/read-certificate.js';
import { fingerprintOf } from '../../identity/trust.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import type { AuthorityOrigin } from './authority-life.js';
import type { CaState, StoredRoot } from './ca-state.js';

/** The roots of an authority that signs elsewhere. */
export class ExternalOrigin implements AuthorityOrigin {
  readonly #trustDomain: string;
  readonly #clock: Clock;
  readonly #fetchRoots: () => Promise<string>;
  #roots: string;

  private constructor(trustDomain: string, clock: Clock, fetchRoots: () => Promise<string>, roots: string) {
    this.#trustDomain = trustDomain;
    this.#clock = clock;
    this.#fetchRoots = fetchRoots;
    this.#roots = roots;
  }

  static async open(trustDomain: string, clock: Clock, fetchRoots: () => Promise<string>) {
    const origin = new ExternalOrigin(trustDomain, clock, fetchRoots, await fetchRoots());
    origin.#first();
    return origin;
  }

  begin(): Promise<CaState> {
    return Promise.resolve(this.#stateOf());
  }

  takeOver(): CaState {
    return this.#stateOf();
  }

  async adapt(state: CaState, isStart: boolean): Promise<CaState> {
    if (!isStart) {
      const roots = await this.#fetchRoots();
      // Nothing is no answer: it would have everybody trust nobody.
      if (createX509Bundle(this.#trustDomain, roots).authorities.length > 0) this.#roots = roots;
    }
    const prints = new Set(createX509Bundle(this.#trustDomain, this.#roots).certificates.map(fingerprintOf));
    if (state.roots.some(({ fingerprint, phase }) => phase === 'active' && prints.has(fingerprint)))
      return state;
    return { ...state, sequence: state.sequence + 1, roots: this.#stateOf().roots };
  }

  issuing(): undefined {
    return undefined;
  }

  moreRoots(): string {
    return this.#roots;
  }

  #first(): ReadCertificate {
    const [root] = createX509Bundle(this.#trustDomain, this.#roots).certificates;
    if (root !== undefined) return root;
    throw new MeshError('INMESH_CA_UNFIT', 'the external certificate authority has no roots', {
      resource: `trust domain ${this.#trustDomain}`,
      hint: 'Supply its root certificates in PEM',
    });
  }

  #stateOf(): CaState {
    const root = this.#first();
    const stored: StoredRoot = {
      fingerprint: fingerprintOf(root),
      phase: 'active',
      certificatePem: createX509Bundle(this.#trustDomain, this.#roots).authorities[0] ?? '',
      isAutomatic: true,
      sinceMs: this.#clock.wallTime(),
      intermediates: [],
    };
    const trustDomain = this.#trustDomain;
    return { trustDomain, sequence: 1, roots: [stored], distrusted: [], revocations: [] };
  }
}
