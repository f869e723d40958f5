/**
 * Counts whole microseconds in bins of two significant digits, as Envoy's histogram does: a window of any length costs a
 * few hundred numbers, and a quantile is exact to a hundredth or so.
 */
export class LatencyHistogram {
  readonly #bins = new Map<number, Bin>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(value: number): void {
    const { left, width } = placeOf(value);
    const bin = this.#bins.get(left);
    if (bin === undefined) this.#bins.set(left, { left, width, count: 1 });
    else bin.count++;
    this.#count++;
  }

  /** The value below which the given share of all samples lies, interpolated within its bin. */
  quantile(share: number): number {
    const wanted = share * this.#count;
    const bins = [...this.#bins.values()].sort((a, b) => a.left - b.left);
    let lower = 0;
    let last = 0;
    for (const { left, width, count } of bins) {
      if (lower === wanted) return left;
      last = left + width;
      if (lower + count >= wanted) return left + ((wanted - lower) / count) * width;
      lower += count;
    }
    return last;
  }

  clear(): void {
    this.#bins.clear();
    this.#count = 0;
  }
}

interface Bin {
  readonly left: number;
  readonly width: number;
  count: number;
}

function placeOf(value: number): { readonly left: number; readonly width: number } {
  if (value <= 0) return { left: 0, width: 0 };
  const width = 10 ** (Math.floor(Math.log10(value)) - 1);
  return { left: Math.floor(value / width) * width, width };
}
