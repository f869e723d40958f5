import { isLoopback, looksMeshed } from '../routing/host-table.js';
import type { Clock } from '../runtime/clock.js';
import type { XdsClient } from '../xds/client-api.js';

/**
 * The time before the first configuration. Names that look like the mesh's wait for it and fail without it. Others wait only
 * as long as it may be on its way, because a ServiceEntry may have them, and are then none of the mesh's.
 */
export class FirstConfiguration {
  /** Whether it came, with the identity for its first requests. */
  isInForce = false;
  readonly #inForce: Promise<void>;
  #enter!: () => void;
  readonly #xds: Pick<XdsClient, 'connected' | 'published'>;
  readonly #clock: Clock;
  readonly #untilMs: number;

  constructor(xds: Pick<XdsClient, 'connected' | 'published'>, clock: Clock, timeoutMs: number) {
    this.#xds = xds;
    this.#clock = clock;
    this.#untilMs = clock.now() + timeoutMs;
    this.#inForce = new Promise((resolve) => {
      this.#enter = resolve;
    });
  }

  enter(): void {
    this.isInForce = true;
    this.#enter();
  }

  /** Whoever waits need not wait on: it will not come. */
  giveUp(): void {
    this.#enter();
  }

  /** Whether requests to an origin that is not known wait for it. */
  isAwaitedBy(origin: string | URL): boolean {
    if (this.isInForce) return false;
    return looksMeshed(origin) || (this.#isComing && !isLoopback(hostOf(origin)));
  }

  /** Settles when it is in force or the time for it is over; for an origin that does not look like the mesh's as soon as none is coming. */
  async wait(origin: string | URL | undefined): Promise<void> {
    const leftMs = this.#untilMs - this.#clock.now();
    if (this.isInForce || leftMs <= 0) return;
    if (origin === undefined || looksMeshed(origin)) await this.within(leftMs);
    else await this.#whileComing(leftMs);
  }

  /** False when it does not come in that time. */
  within(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.schedule(waitMs, () => resolve(false), true);
      void this.#inForce.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }

  get #isComing(): boolean {
    const { connected, published } = this.#xds;
    return (
      published.value.source === 'none' &&
      connected.value.state !== 'disconnected' &&
      this.#clock.now() < this.#untilMs
    );
  }

  #whileComing(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.#isComing) return;
        timer.cancel();
        for (const unsubscribe of subscriptions) unsubscribe();
        resolve();
      };
      const timer = this.#clock.schedule(waitMs, look, true);
      const subscriptions = [this.#xds.connected.subscribe(look), this.#xds.published.subscribe(look)];
      look();
    });
  }
}

function hostOf(origin: string | URL): string {
  const { hostname } = typeof origin === 'string' ? new URL(origin) : origin;
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
