/** Istio's buckets, in milliseconds or bytes. */
export const ISTIO_BUCKETS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

/** A histogram over fixed buckets; recording is a short scan and two additions. */
export class Histogram {
  readonly counts: Float64Array = new Float64Array(ISTIO_BUCKETS.length + 1);
  sum = 0;
  count = 0;

  record(value: number): void {
    let at = 0;
    // Most values fall into the first buckets, so a scan beats a binary search.
    while (at < ISTIO_BUCKETS.length && value > (ISTIO_BUCKETS[at] ?? 0)) at++;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sum += value;
    this.count++;
  }
}
