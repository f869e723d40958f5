import type { MeshError } from '../runtime/errors.js';

/** gRFC A40's client status of a resource; `received-error` and `timeout` are of A88. */
export type ResourceState =
  | 'requested'
  | 'acked'
  | 'nacked'
  | 'does-not-exist'
  | 'received-error'
  | 'timeout';

/** A decoded resource with the bytes it was decoded from. */
export interface Value {
  readonly resource: unknown;
  readonly bytes: Uint8Array;
  readonly version: string;
  /** Calendar time in milliseconds; undefined for one from the disk. */
  readonly updatedAtMs?: number;
}

/** A value that was refused. */
export interface RefusedValue {
  readonly bytes: Uint8Array;
  readonly version: string;
  readonly error: MeshError;
  /** Calendar time in milliseconds. */
  readonly atMs: number;
}

/** All that is known under one name. */
export interface Entry {
  value: Value | undefined;
  /** Served instead of `value` until then. */
  lastResort: { readonly value: Value; readonly untilMs: number } | undefined;
  rejected: RefusedValue | undefined;
  /** Why the server has no value to send, if it said so. */
  failure: MeshError | undefined;
  state: ResourceState;
  /** Without a value: whether it is an outage or a fault rather than an absence, so that what needs it fails closed. */
  isBroken: boolean;
  isCached: boolean;
  /** Monotonic time at which the value ends, unless the server renews it. */
  endsAtMs: number | undefined;
  /** When the wait for the server began; undefined while the stream is down or after an answer. */
  waitingSinceMs: number | undefined;
}

/** An entry about which nothing is known yet. */
export function blankEntry(): Entry {
  return {
    value: undefined,
    lastResort: undefined,
    rejected: undefined,
    failure: undefined,
    state: 'requested',
    isBroken: false,
    isCached: false,
    endsAtMs: undefined,
    waitingSinceMs: undefined,
  };
}

/** Whether the server has not spoken about it yet. */
export function isWaiting(entry: Entry): boolean {
  return entry.isCached || (entry.state === 'requested' && entry.value === undefined);
}

/** The value in use. */
export function inUse(entry: Entry): Value | undefined {
  return (entry.lastResort ?? entry)?.value;
}

/** Forgets the value. */
export function clearValue(entry: Entry): void {
  entry.value = undefined;
  entry.lastResort = undefined;
  entry.endsAtMs = undefined;
}
