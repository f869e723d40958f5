import { MeshError } from '../../runtime/errors.js';
import type { CaState, RootPhase, StoredRoot } from './ca-state.js';

/** How many of those connected know, or have, what the next step needs. */
export interface ClientCount {
  readonly live: number;
  readonly ready: number;
}

/** Of those connected, how many must know a new root before it signs, and have a new certificate before the old one goes. */
const READY_SHARE = 0.99;

/** Whether a step may be taken without force. */
export function isReady({ live, ready }: ClientCount): boolean {
  return ready >= live * READY_SHARE;
}

/** The root in a phase; there is at most one in each. */
export function rootIn(state: CaState, phase: RootPhase): StoredRoot | undefined {
  return state.roots.find((root) => root.phase === phase);
}

/** A new root is there; nobody knows it yet. */
export function prepare(state: CaState, root: StoredRoot): CaState {
  const other = rootIn(state, 'prepared') ?? rootIn(state, 'distributing') ?? rootIn(state, 'retiring');
  if (other !== undefined) {
    throw refused(
      `a rotation is under way: root ${short(other)} is ${other.phase}`,
      'Wait for it (inmesh ca status), push it (inmesh ca rotate --force, inmesh ca retire --force), or give it up (inmesh ca rotate --abandon)',
    );
  }
  return { ...state, roots: [...state.roots, { ...root, phase: 'prepared' }] };
}

/** The prepared root goes to everybody, to be trusted. */
export function distribute(state: CaState, nowMs: number): CaState {
  const next = rootIn(state, 'prepared');
  if (next === undefined) throw refused('no root is prepared', 'Make one with inmesh ca rotate');
  return told({ ...state, roots: moved(state, next, 'distributing', nowMs) });
}

/** A root that waits to be activated waits for clients only. */
export function automatic(state: CaState): CaState {
  const next = rootIn(state, 'distributing');
  if (next === undefined) throw refused('no root is being distributed', 'Make one with inmesh ca rotate');
  return { ...state, roots: state.roots.map((one) => (one === next ? { ...one, isAutomatic: true } : one)) };
}

/** The new root signs from now on; what the old one signed is to be renewed. */
export function activate(state: CaState, nowMs: number, clients: ClientCount | 'forced'): CaState {
  const next = rootIn(state, 'distributing');
  if (next === undefined) throw refused('no root is being distributed', 'Make one with inmesh ca rotate');
  if (clients !== 'forced' && !isReady(clients)) {
    throw refused(
      `${clients.ready} of ${clients.live} connected clients trust the new root, and 99 % must`,
      'Wait for the others, or use --force: they then refuse the certificates of everybody who renews',
    );
  }
  const old = rootIn(state, 'active');
  const roots = moved(state, next, 'active', nowMs);
  const after = { ...state, roots };
  return told(old === undefined ? after : { ...after, roots: moved(after, old, 'retiring', nowMs) });
}

/** The old root goes out of the bundle, and is distrusted. */
export function retire(state: CaState, clients: ClientCount | 'forced', notAfterMs: number): CaState {
  const old = rootIn(state, 'retiring');
  if (old === undefined) throw refused('no root is retiring', 'A root retires when its successor is active');
  if (clients !== 'forced' && !isReady(clients)) {
    throw refused(
      `${clients.ready} of ${clients.live} connected clients have a certificate of the new root, and 99 % must`,
      'Wait for the others, or use --force: they are refused until they renew',
    );
  }
  return without(state, old, notAfterMs);
}

/** Gives a rotation up: a root that signs nothing yet goes. */
export function abandon(state: CaState, notAfterMs: number): CaState {
  const next = rootIn(state, 'prepared') ?? rootIn(state, 'distributing');
  if (next === undefined)
    throw refused(
      'no rotation is under way that could be given up',
      'An active root is replaced by another rotation',
    );
  return without(state, next, notAfterMs);
}

function without(state: CaState, root: StoredRoot, untilMs: number): CaState {
  return told({
    ...state,
    roots: state.roots.filter((one) => one !== root),
    distrusted: [...state.distrusted, { fingerprint: root.fingerprint, untilMs }],
  });
}

/** Clients are told of every change of the bundle: its number grows. */
export function told(state: CaState): CaState {
  return { ...state, sequence: state.sequence + 1 };
}

function moved(state: CaState, root: StoredRoot, phase: RootPhase, nowMs: number): readonly StoredRoot[] {
  return state.roots.map((one) =>
    one.fingerprint === root.fingerprint ? { ...one, phase, sinceMs: nowMs } : one,
  );
}

function short({ fingerprint }: StoredRoot): string {
  return fingerprint.slice(0, 16);
}

function refused(what: string, hint: string): MeshError {
  return new MeshError('INMESH_CA_ROTATION', what, { resource: 'certificate authority', hint });
}
