/** Which half of a 64-bit number comes first in memory. */
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

/** 64-bit numbers whose halves are read without making a bigint of each. */
export class Words64 {
  readonly #whole: BigUint64Array;
  readonly #halves: Uint32Array;

  constructor(length: number) {
    this.#whole = new BigUint64Array(length);
    this.#halves = new Uint32Array(this.#whole.buffer);
  }

  set(index: number, value: bigint): void {
    this.#whole[index] = value;
  }

  high(index: number): number {
    return this.#halves[2 * index + HIGH] ?? 0;
  }

  low(index: number): number {
    return this.#halves[2 * index + LOW] ?? 0;
  }
}

const scratch = new Words64(1);

/** The upper 32 bits. */
export function highWord(value: bigint): number {
  scratch.set(0, value);
  return scratch.high(0);
}

/** The lower 32 bits. */
export function lowWord(value: bigint): number {
  scratch.set(0, value);
  return scratch.low(0);
}
