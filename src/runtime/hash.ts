import type { XXHashAPI } from 'xxhash-wasm';

let xxhash: XXHashAPI | undefined;

/** Loads what hashing needs. It must have settled before the first call of {@link xxHash64}. */
export async function loadHashes(): Promise<void> {
  if (xxhash !== undefined) return;
  const { default: load } = await import('xxhash-wasm');
  xxhash = await load();
}

/** xxHash64 of bytes, or of a text in UTF-8. */
export function xxHash64(input: string | Uint8Array, seed = 0n): bigint {
  if (xxhash === undefined) throw new TypeError('xxHash64 is used before loadHashes() settled');
  return typeof input === 'string' ? xxhash.h64(input, seed) : xxhash.h64Raw(input, seed);
}

/** xxHash64 of a header value, or part of one: each character is a byte. */
export function xxHash64OfHeader(value: string, seed = 0n): bigint {
  return xxHash64(NOT_ASCII.test(value) ? Buffer.from(value, 'latin1') : value, seed);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is exactly this range.
const NOT_ASCII = /[^\x00-\x7f]/;

const MULTIPLIER = 0xc6a4_a793_5bd1_e995n;
const MURMUR_SEED = 0xc70f_6907n;

/** MurmurHash2 for 64 bits, as libstdc++'s std::hash has it (Envoy `MURMUR_HASH_2`); a text counts in UTF-8. */
export function murmurHash2(input: string | Uint8Array, seed = MURMUR_SEED): bigint {
  const bytes =
    typeof input === 'string'
      ? Buffer.from(input)
      : Buffer.from(input.buffer, input.byteOffset, input.length);
  const whole = bytes.length & ~7;
  let hash = seed ^ multiply(BigInt(bytes.length), MULTIPLIER);
  for (let at = 0; at < whole; at += 8) {
    const mixed = multiply(shiftMix(multiply(bytes.readBigUInt64LE(at), MULTIPLIER)), MULTIPLIER);
    hash = multiply(hash ^ mixed, MULTIPLIER);
  }
  if (whole < bytes.length) {
    let rest = 0n;
    for (let at = bytes.length - 1; at >= whole; at--) rest = (rest << 8n) | BigInt(bytes[at] ?? 0);
    hash = multiply(hash ^ rest, MULTIPLIER);
  }
  return shiftMix(multiply(shiftMix(hash), MULTIPLIER));
}

function multiply(a: bigint, b: bigint): bigint {
  return BigInt.asUintN(64, a * b);
}

function shiftMix(value: bigint): bigint {
  return value ^ (value >> 47n);
}
