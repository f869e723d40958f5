import type { Clock, Timer } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import type { DecodableType } from './protocol.js';
import type { MissingResource, ReferenceKind } from './resolution.js';
import type { ResourceStore } from './store.js';

/** What the wait for missing resources works with. */
export interface MissingTimerOptions {
  readonly store: ResourceStore;
  readonly types: Readonly<Record<ReferenceKind, DecodableType>>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long to wait for one, and whether that it does not come is an outage of the server rather than an absence. */
  readonly limitOf: (one: MissingResource) => { readonly timeoutMs: number; readonly isOutage: boolean };
  /** A resource of the type was not answered for a third of the time. */
  readonly onSlow: (typeUrl: string) => void;
  /** Something was given up, or is to be waited for again. */
  readonly onChange: () => void;
}

/** Gives up on resources that the server does not answer for (gRFC A57, Envoy `initial_fetch_timeout`). */
export class MissingTimer {
  readonly #options: MissingTimerOptions;
  #timer: Timer | undefined;
  /** What was asked for again. */
  #slow = new Set<string>();

  constructor(options: MissingTimerOptions) {
    this.#options = options;
  }

  /** Waits for exactly these from now on; a wait that began earlier goes on. */
  watch(missing: readonly MissingResource[]): void {
    this.#timer?.cancel();
    this.#slow = new Set(missing.map(keyOf).filter((key) => this.#slow.has(key)));
    const dueMs = missing.reduce((first, one) => Math.min(first, this.#dueMs(one)), Number.POSITIVE_INFINITY);
    if (!Number.isFinite(dueMs)) return;
    const { clock } = this.#options;
    this.#timer = clock.schedule(Math.max(0, dueMs - clock.now()), () => this.#run(missing));
  }

  /** Stops waiting. */
  cancel(): void {
    this.#timer?.cancel();
    this.#slow.clear();
  }

  #dueMs(one: MissingResource): number {
    const { store, types, limitOf } = this.#options;
    const { timeoutMs } = limitOf(one);
    const sinceMs = store.waitingSince(types[one.kind].typeUrl, one.name) ?? Number.POSITIVE_INFINITY;
    return sinceMs + (this.#slow.has(keyOf(one)) ? timeoutMs : timeoutMs / 3);
  }

  #run(missing: readonly MissingResource[]): void {
    const { store, types, clock, logger, limitOf, onSlow, onChange } = this.#options;
    const now = clock.now();
    const slowTypes = new Set<string>();
    for (const one of missing) {
      if (this.#dueMs(one) > now) continue;
      const { typeUrl, short } = types[one.kind];
      if (!this.#slow.has(keyOf(one))) {
        this.#slow.add(keyOf(one));
        slowTypes.add(typeUrl);
        continue;
      }
      const { timeoutMs, isOutage } = limitOf(one);
      logger.warn(
        { type: short, resource: one.name, timeoutMs },
        'the control plane does not answer for a resource',
      );
      store.giveUp(typeUrl, one.name, isOutage);
    }
    for (const typeUrl of slowTypes) onSlow(typeUrl);
    onChange();
  }
}

function keyOf({ kind, name }: MissingResource): string {
  return `${kind} ${name}`;
}
