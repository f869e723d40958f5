import { type HashTable, STEP, type TableBuild, type TableInput, type TableKind } from './hash-table.js';

export interface MaglevOptions {
  /** A prime. */
  readonly tableSize: number;
  readonly hash: (text: string, seed: bigint) => bigint;
}

/** Envoy's default, which is built within some milliseconds. */
const QUICK_SIZE = 65_537;

/** Envoy MAGLEV: each host fills places of the table in an order of its own, in turns by weight. */
export function maglevKind(options: MaglevOptions): TableKind {
  const { tableSize } = options;
  return {
    costUs: (hosts) => 1.5 * hosts + 0.1 * tableSize,
    build: (input) => buildTable(input, options),
    interim: tableSize <= QUICK_SIZE ? undefined : maglevKind({ ...options, tableSize: QUICK_SIZE }),
  };
}

/** Free places. */
const NOBODY = 0xffff_ffff;

function* buildTable(input: TableInput, { tableSize, hash }: MaglevOptions): TableBuild {
  const { keys } = input;
  if (keys.length === 1) return new MaglevTable(new Uint32Array(1), [1]);
  // The order of hosts decides who claims a place first: it has to be the same in every process.
  const order = keys.map((_, index) => index).sort((a, b) => compare(keys[a] ?? '', keys[b] ?? ''));
  const size = BigInt(tableSize);
  const positions = new Uint32Array(order.length);
  const skips = new Uint32Array(order.length);
  for (const [turn, index] of order.entries()) {
    if (turn % STEP === 0) yield;
    const key = keys[index] ?? '';
    positions[turn] = Number(hash(key, 0n) % size);
    skips[turn] = Number(hash(key, 1n) % (size - 1n)) + 1;
  }
  const table = new Uint32Array(tableSize).fill(NOBODY);
  const counts = yield* fill(table, { order, positions, skips }, input);
  return new MaglevTable(table, counts);
}

interface Turns {
  readonly order: readonly number[];
  /** The next place that each host would claim. */
  readonly positions: Uint32Array;
  readonly skips: Uint32Array;
}

function* fill(
  table: Uint32Array,
  turns: Turns,
  { weights, max }: TableInput,
): Generator<void, readonly number[]> {
  const { order } = turns;
  const counts = order.map(() => 0);
  const targets = new Float64Array(order.length);
  let left = table.length;
  for (let iteration = 1; left > 0; iteration++) {
    for (let turn = 0; turn < order.length && left > 0; turn++) {
      const index = order[turn] ?? 0;
      const target = targets[turn] ?? 0;
      // The heaviest host has a turn in every iteration, one with a third of its weight in every third.
      if (iteration * (weights[index] ?? 0) < target) continue;
      targets[turn] = target + max;
      counts[turn] = (counts[turn] ?? 0) + 1;
      claim(table, turns, turn, index);
      left--;
      if (left % STEP === 0) yield;
    }
  }
  return counts;
}

/** Takes the next free place of a host's permutation. */
function claim(table: Uint32Array, { positions, skips }: Turns, turn: number, index: number): void {
  const size = table.length;
  const skip = skips[turn] ?? 0;
  let place = positions[turn] ?? 0;
  const step = () => {
    place += skip;
    if (place >= size) place -= size;
  };
  while (table[place] !== NOBODY) step();
  table[place] = index;
  step();
  positions[turn] = place;
}

const MAX_64 = 0xffff_ffff_ffff_ffffn;

class MaglevTable implements HashTable {
  readonly size: number;
  readonly minPerHost: number;
  readonly maxPerHost: number;
  readonly table: Uint32Array;
  readonly #modulus: bigint;

  constructor(table: Uint32Array, counts: readonly number[]) {
    this.table = table;
    this.size = table.length;
    this.#modulus = BigInt(table.length);
    this.minPerHost = counts.reduce((min, count) => Math.min(min, count), this.size);
    this.maxPerHost = counts.reduce((max, count) => Math.max(max, count), 0);
  }

  indexOf(hash: bigint, attempt: number): number {
    // Envoy: most bits change, so that retries spread.
    const moved = attempt === 0 ? hash : hash ^ (MAX_64 - BigInt(attempt) + 1n);
    return this.table[Number(moved % this.#modulus)] ?? 0;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
