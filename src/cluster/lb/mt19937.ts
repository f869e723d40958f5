const SIZE = 624;
const MIDDLE = 397;

/** The Mersenne Twister of 32 bits (std::mt19937): the same seed draws the same numbers everywhere. */
export function mt19937(seed: number): () => number {
  const state = new Uint32Array(SIZE);
  state[0] = seed;
  for (let i = 1; i < SIZE; i++) {
    const last = at(state, i - 1);
    state[i] = Math.imul(1_812_433_253, last ^ (last >>> 30)) + i;
  }
  let next = SIZE;
  return () => {
    if (next >= SIZE) {
      twist(state);
      next = 0;
    }
    return temper(at(state, next++));
  };
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < SIZE; i++) {
    const mixed = (at(state, i) & 0x8000_0000) | (at(state, (i + 1) % SIZE) & 0x7fff_ffff);
    const shifted = mixed >>> 1;
    state[i] = at(state, (i + MIDDLE) % SIZE) ^ ((mixed & 1) === 0 ? shifted : shifted ^ 0x9908_b0df);
  }
}

function temper(value: number): number {
  let y = value;
  y ^= y >>> 11;
  y ^= (y << 7) & 0x9d2c_5680;
  y ^= (y << 15) & 0xefc6_0000;
  y ^= y >>> 18;
  return y >>> 0;
}

function at(state: Uint32Array, index: number): number {
  return state[index] ?? 0;
}
