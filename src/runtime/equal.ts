import { Secret } from './secret.js';
import { ShardedMap } from './sharded-map.js';

/**
 * Whether two immutable values have the same structure: primitives by `Object.is`, arrays, Maps, Sets, byte arrays,
 * plain objects and secrets by content. A property that is undefined equals one that is missing.
 */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  // They look alike from outside.
  if (a instanceof Secret) return b instanceof Secret && a.equals(b.reveal());
  if (Array.isArray(a)) return Array.isArray(b) && equalArrays(a, b);
  if (a instanceof Map) return b instanceof Map && equalMaps(a, b);
  if (a instanceof ShardedMap) return b instanceof ShardedMap && equalMaps(a, b);
  if (a instanceof Set) return b instanceof Set && a.size === b.size && [...a].every((one) => b.has(one));
  if (ArrayBuffer.isView(a)) return a instanceof Uint8Array && b instanceof Uint8Array && equalArrays(a, b);
  return equalObjects(a, b);
}

function equalArrays(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!isEqual(a[i], b[i])) return false;
  return true;
}

function equalMaps(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (!b.has(key) || !isEqual(value, b.get(key))) return false;
  return true;
}

function equalObjects(a: object, b: object): boolean {
  const left: Readonly<Record<string, unknown>> = { ...a };
  const right: Readonly<Record<string, unknown>> = { ...b };
  // Names come from configuration: `constructor` is one like others.
  for (const key in left) {
    if (!isEqual(left[key], Object.hasOwn(right, key) ? right[key] : undefined)) return false;
  }
  for (const key in right) if (right[key] !== undefined && !Object.hasOwn(left, key)) return false;
  return true;
}
