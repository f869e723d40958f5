/** What happened in one second. */
interface Second {
  requests: number;
  successes: number;
  attempts: number;
  latencyMs: number;
  readonly byHost: Map<string, number>;
  /** By the zone of the caller. */
  readonly byZone: Map<string, { requests: number; own: number }>;
}

/** Counts by the second in which a request began or an attempt ended. */
export class Recorder {
  readonly #seconds: Second[] = [];

  answered(startMs: number, status: number, latencyMs: number): void {
    const second = this.#at(startMs);
    second.requests++;
    second.latencyMs += latencyMs;
    if (status >= 200 && status < 500) second.successes++;
  }

  attempted(atMs: number, host: string): void {
    const second = this.#at(atMs);
    second.attempts++;
    second.byHost.set(host, (second.byHost.get(host) ?? 0) + 1);
  }

  /** Whether an attempt stayed in the zone of its caller. */
  placed(atMs: number, callerZone: string, hostZone: string): void {
    const { byZone } = this.#at(atMs);
    const zone = byZone.get(callerZone) ?? { requests: 0, own: 0 };
    zone.requests++;
    if (callerZone === hostZone) zone.own++;
    byZone.set(callerZone, zone);
  }

  /** Percentage of a zone's requests that stayed in it. */
  stayed(zone: string): number[] {
    return this.curve(({ byZone }) => {
      const { requests, own } = byZone.get(zone) ?? { requests: 1, own: 0 };
      return (100 * own) / requests;
    });
  }

  /** A figure per second, from the first on. */
  curve(of: (second: Readonly<Second>) => number): number[] {
    return this.#seconds.map(of);
  }

  /** Percentage of requests that succeeded, by the second in which they began. */
  success(): number[] {
    return this.curve(({ requests, successes }) => (requests === 0 ? 100 : (100 * successes) / requests));
  }

  /** Attempts per second at one host, `address:port`. */
  at(host: string): number[] {
    return this.curve(({ byHost }) => byHost.get(host) ?? 0);
  }

  #at(ms: number): Second {
    const index = Math.floor(ms / 1000);
    while (this.#seconds.length <= index) {
      this.#seconds.push({
        requests: 0,
        successes: 0,
        attempts: 0,
        latencyMs: 0,
        byHost: new Map(),
        byZone: new Map(),
      });
    }
    // Just made.
    return this.#seconds[index] as Second;
  }
}

/** Mean of the figures of the seconds from `from` up to, but without, `to`. */
export function mean(curve: readonly number[], from: number, to: number): number {
  const part = curve.slice(from, to);
  return part.reduce((sum, value) => sum + value, 0) / part.length;
}
