import { beforeAll, expect } from 'vitest';
import { loadHashes, murmurHash2, xxHash64 } from '../../src/runtime/hash.js';
import { vectorJson, vectorSuite } from './score.js';

interface Group {
  readonly fn: string;
  readonly cases: readonly HashCase[];
}
interface HashCase {
  readonly input: string | readonly string[];
  readonly type?: string;
  readonly seed?: string;
  readonly expect: string;
}

const FILE = 'envoy/vectors/hashes.json';
const groups = (vectorJson(FILE) as { groups: readonly Group[] } | undefined)?.groups ?? [];

const FUNCTIONS: Readonly<Record<string, (one: HashCase) => bigint>> = {
  xxhash64: ({ input, seed }) => xxHash64(String(input), BigInt(seed ?? 0)),
  xxhash64_of_little_endian_value: (one) => xxHash64(bytesOf(one), BigInt(one.seed ?? 0)),
  xxhash64_of_float: hashOfFloat,
  xxhash64_chained_over_strings: ({ input }) =>
    [input].flat().reduce((seed, text) => xxHash64(text, seed), 0n),
  murmurhash2_64a_seed_0xc70f6907: ({ input }) => murmurHash2(String(input)),
};

/** The bytes of a value in memory. */
function bytesOf({ input, type }: HashCase): Uint8Array {
  const bytes = Buffer.alloc(type === 'bool' ? 1 : type?.endsWith('32') ? 4 : 8);
  const text = String(input);
  switch (type) {
    case 'uint64':
      bytes.writeBigUInt64LE(BigInt(text));
      break;
    case 'int64':
      bytes.writeBigInt64LE(BigInt(text));
      break;
    case 'uint32':
      bytes.writeUInt32LE(Number(text));
      break;
    case 'int32':
      bytes.writeInt32LE(Number(text));
      break;
    case 'bool':
      bytes.writeUInt8(text === 'true' ? 1 : 0);
      break;
    default:
      throw new TypeError(`no type ${type}`);
  }
  return bytes;
}

/** Envoy: a number of a message counts as its exponent and its fraction, so that all NaNs are one. */
function hashOfFloat({ input, type, seed = '0' }: HashCase): bigint {
  const value = type === 'float32' ? Math.fround(Number(input)) : Number(input);
  if (Number.isNaN(value)) return xxHash64('NaN', BigInt(seed));
  if (!Number.isFinite(value)) return xxHash64('Inf', BigInt(seed));
  let exponent = 0;
  for (let rest = Math.abs(value); rest >= 1; rest /= 2) exponent++;
  const fraction = BigInt(Math.trunc((value / 2 ** exponent) * 2 ** 63)).toString();
  const first = xxHash64(
    bytesOf({ input: String(exponent), type: 'int32', expect: '' }),
    BigInt(seed),
  );
  return xxHash64(bytesOf({ input: fraction, type: 'int64', expect: '' }), first);
}

beforeAll(loadHashes);

vectorSuite({
  file: FILE,
  cases: groups.flatMap(({ fn, cases }) => cases.map((one) => ({ fn, one }))),
  title: ({ fn, one }) => `${fn} of ${JSON.stringify(one.input)}`,
  skip: ({ fn }) => (fn === 'djb2_case_insensitive' ? 'orders Envoy’s own header tables only' : undefined),
  run: ({ fn, one }) => expect(FUNCTIONS[fn]?.(one).toString()).toBe(one.expect),
});
