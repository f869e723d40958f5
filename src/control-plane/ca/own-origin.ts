import { createX509Bundle } from '../../identity/bundle.js';
import { fingerprintOf } from '../../identity/trust.js';
import type { Clock } from '../../runtime/clock.js';
import type { AuthorityOrigin } from './authority-life.js';
import type { CaState, StoredIntermediate, StoredRoot } from './ca-state.js';
import { createIntermediate, intermediateTimes } from './intermediate.js';
import { assembleAuthority, type IssuingAuthority } from './issuing-authority.js';
import { type Passphrase, readKey, writeKey } from './private-key.js';
import { type CaKeyType, createRoot, parseRoot, type Root } from './root.js';
import { activate, distribute, prepare, rootIn, told } from './root-rotation.js';

const HOUR_MS = 3_600_000;

/** How an authority makes its own roots. */
export interface OwnOriginOptions {
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly keyType: CaKeyType;
  readonly rootLifeMs: number;
  /** Leaves are signed by intermediates of this life; by the root when absent. */
  readonly intermediateLifeMs: number | undefined;
  readonly passphrase: Passphrase;
  /** Changes nothing by itself. */
  readonly isOffline: boolean;
}

/** A root that was made elsewhere, with its key. */
export interface ImportedRoot {
  /** PEM. */
  readonly certificatePem: string;
  /** PEM, encrypted or not. */
  readonly keyPem: string;
  /** Opens the key. */
  readonly passphrase?: string | undefined;
}

const RESOURCE = 'certificate authority';

/** An authority that makes its roots itself. */
export class OwnOrigin implements AuthorityOrigin {
  readonly #options: OwnOriginOptions;
  readonly #roots = new Map<string, Root>();
  readonly #issuing = new Map<string, IssuingAuthority>();

  constructor(options: OwnOriginOptions) {
    this.#options = options;
  }

  async begin(): Promise<CaState> {
    const { trustDomain } = this.#options;
    const root = await this.newRoot(true);
    return {
      trustDomain,
      sequence: 1,
      roots: [{ ...root, phase: 'active' }],
      distrusted: [],
      revocations: [],
    };
  }

  takeOver(pem: string): CaState {
    const { trustDomain, passphrase, clock } = this.#options;
    const root = parseRoot(pem, trustDomain);
    const stored: StoredRoot = {
      fingerprint: fingerprintOf(root.root),
      phase: 'active',
      certificatePem: root.pem,
      keyPem: writeKey(root.privateKey, passphrase),
      isAutomatic: true,
      sinceMs: clock.wallTime(),
      intermediates: [],
    };
    return { trustDomain, sequence: 1, roots: [stored], distrusted: [], revocations: [] };
  }

  /** A root that nobody knows yet. */
  async newRoot(isAutomatic: boolean): Promise<StoredRoot> {
    const { trustDomain, clock, keyType, rootLifeMs, passphrase } = this.#options;
    const now = clock.wallTime();
    const root = await createRoot({
      trustDomain,
      keyType,
      notBeforeMs: now - HOUR_MS,
      notAfterMs: now + rootLifeMs,
    });
    const fingerprint = fingerprintOf(root.root);
    this.#roots.set(fingerprint, root);
    return {
      fingerprint,
      phase: 'prepared',
      certificatePem: root.pem,
      keyPem: writeKey(root.privateKey, passphrase),
      isAutomatic,
      sinceMs: now,
      intermediates: [],
    };
  }

  /** A root of somebody else, to be this authority's own. */
  importRoot({ certificatePem, keyPem, passphrase }: ImportedRoot, isAutomatic: boolean): StoredRoot {
    const { trustDomain, clock } = this.#options;
    const resource = 'imported root';
    const privateKey = readKey(keyPem, passphrase, resource);
    const parts = { certificates: certificatePem, roots: certificatePem, privateKey, trustDomain, resource };
    const { root, rootPem } = assembleAuthority({ ...parts, nowMs: clock.wallTime() });
    return {
      fingerprint: fingerprintOf(root),
      phase: 'prepared',
      certificatePem: rootPem,
      keyPem: writeKey(privateKey, this.#options.passphrase),
      isAutomatic,
      sinceMs: clock.wallTime(),
      intermediates: [],
    };
  }

  async adapt(state: CaState, isStart: boolean): Promise<CaState> {
    const { clock, isOffline } = this.#options;
    if (isOffline) return state;
    const now = clock.wallTime();
    let next = state;
    // Its key was elsewhere (a plugged-in authority), and is not there any more.
    if (isStart && rootIn(state, 'active')?.keyPem === undefined) {
      next = prepare(next, await this.newRoot(true));
      next = activate(distribute(next, now), now, 'forced');
    }
    const prepared = rootIn(next, 'prepared');
    // A crash came between making it and telling of it.
    if (prepared?.isAutomatic === true) next = distribute(next, now);
    const active = rootIn(next, 'active');
    if (active === undefined) return next;
    const kept = await this.#intermediatesOf(active);
    if (kept === active.intermediates) return next;
    const roots = next.roots.map((root) => (root === active ? { ...root, intermediates: kept } : root));
    return told({ ...next, roots });
  }

  issuing(state: CaState): IssuingAuthority | undefined {
    const active = rootIn(state, 'active');
    if (active?.keyPem === undefined) return undefined;
    const signing = active.intermediates.find(({ phase }) => phase === 'active');
    const key = signing?.certificatePem ?? active.fingerprint;
    let issuing = this.#issuing.get(key);
    if (issuing === undefined) {
      issuing = this.#assemble(active, signing);
      this.#issuing.clear();
      this.#issuing.set(key, issuing);
    }
    return issuing;
  }

  moreRoots(): string {
    return '';
  }

  #assemble(active: StoredRoot, signing: StoredIntermediate | undefined): IssuingAuthority {
    const { trustDomain, clock, passphrase } = this.#options;
    const root = this.#rootOf(active);
    if (signing === undefined) {
      return {
        certificate: root.root,
        privateKey: root.privateKey,
        chainPem: [],
        root: root.root,
        rootPem: root.pem,
        // An expired one says so when it is asked to sign.
        notAfterMs: root.root.facts.notAfterMs,
      };
    }
    return assembleAuthority({
      certificates: signing.certificatePem,
      roots: root.pem,
      privateKey: readKey(signing.keyPem, passphrase, RESOURCE),
      trustDomain,
      nowMs: clock.wallTime(),
      resource: RESOURCE,
    });
  }

  #rootOf({ fingerprint, certificatePem, keyPem = '' }: StoredRoot): Root {
    let root = this.#roots.get(fingerprint);
    if (root === undefined) {
      const { trustDomain, passphrase } = this.#options;
      root = parseRoot(certificatePem, trustDomain, readKey(keyPem, passphrase, RESOURCE));
      this.#roots.set(fingerprint, root);
    }
    return root;
  }

  /** SPIRE's times: the next one is made at half of the life, and signs when a sixth is left. */
  async #intermediatesOf(active: StoredRoot): Promise<readonly StoredIntermediate[]> {
    const { intermediateLifeMs, clock } = this.#options;
    const { intermediates, keyPem } = active;
    if (keyPem === undefined) return intermediates;
    // Without intermediates from now on, the root signs by itself.
    if (intermediateLifeMs === undefined) return intermediates.length === 0 ? intermediates : [];
    const root = this.#rootOf(active);
    const now = clock.wallTime();
    const current = intermediates.find(({ phase }) => phase === 'active');
    const next = intermediates.find(({ phase }) => phase === 'prepared');
    const times = current && timesOf(current, root);
    if (current === undefined || times === undefined || now >= times.notAfterMs)
      return [next ? { ...next, phase: 'active' } : await this.#newIntermediate(root, 'active')];
    if (next !== undefined && now >= times.activateAtMs) return [{ ...next, phase: 'active' }];
    if (next === undefined && now >= times.prepareAtMs)
      return [current, await this.#newIntermediate(root, 'prepared')];
    return intermediates;
  }

  async #newIntermediate(root: Root, phase: StoredIntermediate['phase']): Promise<StoredIntermediate> {
    const { clock, keyType, intermediateLifeMs = 0, passphrase } = this.#options;
    const now = clock.wallTime();
    const { certificatePem, privateKey } = await createIntermediate({
      root,
      keyType,
      notBeforeMs: now - HOUR_MS,
      notAfterMs: now + intermediateLifeMs,
    });
    return { phase, certificatePem, keyPem: writeKey(privateKey, passphrase) };
  }
}

function timesOf({ certificatePem }: StoredIntermediate, root: Root) {
  const [one] = createX509Bundle(root.bundle.trustDomain, certificatePem).certificates;
  const { notBeforeMs = 0, notAfterMs = 0 } = one?.facts ?? {};
  // The hour that it was back-dated by is no part of its life.
  const times = intermediateTimes(notBeforeMs + HOUR_MS, notAfterMs);
  return { ...times, notAfterMs };
}
