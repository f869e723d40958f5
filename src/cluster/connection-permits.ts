/** Connections of one cluster, counted over all its endpoints (Envoy `max_connections`). */
export interface ConnectionPermits {
  /** Takes a permit for a connection to an endpoint that has so many already; false when there is none left. */
  tryOpen(own: number): boolean;
  /** Counts a connection that stands anyway. */
  opened(): void;
  /** Gives one back. */
  closed(): void;
}

/** The connections of a cluster; its limit may change while they stand. */
export class ConnectionCount implements ConnectionPermits {
  limit: number;
  #active = 0;
  #overflows = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get active(): number {
    return this.#active;
  }

  /** How often the limit kept a connection from being opened. */
  get overflows(): number {
    return this.#overflows;
  }

  tryOpen(own: number): boolean {
    const isFull = this.#active >= this.limit;
    if (isFull) this.#overflows++;
    // Envoy: an endpoint without any connection gets one, or its requests would wait for what other endpoints hold.
    if (isFull && own > 0) return false;
    this.#active++;
    return true;
  }

  opened(): void {
    this.#active++;
  }

  closed(): void {
    this.#active--;
  }
}
