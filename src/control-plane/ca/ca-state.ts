import { createHash } from 'node:crypto';
import type { RevokedNames } from '../../model/trust.js';
import { MeshError } from '../../runtime/errors.js';

/**
 * Where a root is in its life: made (`prepared`), sent to everybody (`distributing`), signing (`active`), trusted until
 * what it signed is renewed (`retiring`). A root that is gone is in `distrusted`.
 */
export type RootPhase = 'prepared' | 'distributing' | 'active' | 'retiring';

/** A root of the trust domain. */
export interface StoredRoot {
  /** SHA-256 of the certificate. */
  readonly fingerprint: string;
  readonly phase: RootPhase;
  readonly certificatePem: string;
  /** PKCS #8, encrypted where there is a passphrase; absent when the key is elsewhere. */
  readonly keyPem?: string | undefined;
  /** Goes on by itself as soon as it may. */
  readonly isAutomatic: boolean;
  /** Calendar time in milliseconds at which its phase began. */
  readonly sinceMs: number;
  /** Signs leaves in place of the root; the one that comes next is made early. */
  readonly intermediates: readonly StoredIntermediate[];
}

/** An intermediate that this authority made below its root. */
export interface StoredIntermediate {
  readonly phase: 'prepared' | 'active';
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Something that was taken back. */
export interface Revocation {
  readonly kind: keyof RevokedNames;
  readonly value: string;
  readonly atMs: number;
  readonly reason?: string | undefined;
  /** When nothing that it could be about is valid any more; undefined = never. */
  readonly untilMs?: number | undefined;
}

/** A root that may not be trusted again. */
export interface Distrusted {
  readonly fingerprint: string;
  /** When its certificate expires: then nobody has to be told of it any more. */
  readonly untilMs: number;
}

/** Everything that an authority keeps, in one piece: it is saved as a whole or not at all. */
export interface CaState {
  readonly trustDomain: string;
  /** Grows with every change of what clients are told. */
  readonly sequence: number;
  readonly roots: readonly StoredRoot[];
  readonly distrusted: readonly Distrusted[];
  readonly revocations: readonly Revocation[];
}

const FORMAT = 'inmesh-ca-1';

/** The text that is kept: a checksum that finds damage, and JSON. */
export function writeState(state: CaState): string {
  const body = JSON.stringify(state);
  return `${FORMAT} ${checksum(body)}\n${body}\n`;
}

/** Reads a saved state; text of before there was one holds a key and its root, and is undefined here. */
export function readState(text: string, trustDomain: string): CaState {
  const state = parse(text);
  if (state.trustDomain !== trustDomain)
    throw corrupt(`it is of trust domain ${state.trustDomain} instead of ${trustDomain}`);
  return state;
}

/** The trust domain of a saved state. */
export function trustDomainOf(text: string): string {
  return parse(text).trustDomain;
}

function parse(text: string): CaState {
  const [head = '', body = ''] = text.split('\n', 2);
  const [format, sum] = head.split(' ', 2);
  if (format !== FORMAT) throw corrupt('it is of another version, or no state of a certificate authority');
  if (sum !== checksum(body)) throw corrupt('its checksum is wrong');
  // The checksum proves that `writeState` wrote it.
  return JSON.parse(body) as CaState;
}

/** Whether a saved text is of the form before states: a key and its root in PEM. */
export function isBarePem(text: string): boolean {
  return !text.startsWith(FORMAT);
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

function corrupt(what: string): MeshError {
  return new MeshError('INMESH_STORE_CORRUPT', `the saved certificate authority is not used: ${what}`, {
    resource: 'certificate authority',
    hint: 'Restore its file from a backup, or delete it to start with a new root; every workload then needs a new certificate',
  });
}
