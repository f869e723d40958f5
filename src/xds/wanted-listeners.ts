import type { Unsubscribe } from '../runtime/abort.js';
import { WILDCARD } from './protocol.js';
import { canonicalName, isCollection } from './resource-name.js';

/** Which listeners are asked for: all that the server has, those of served ports, and those that somebody named. */
export class WantedListeners {
  readonly isWildcard: boolean;
  readonly #subscribe: (names: ReadonlySet<string>) => void;
  readonly #outbound = new Map<string, number>();
  #inbound: readonly string[];

  constructor(
    options: {
      readonly wildcard?: boolean;
      readonly outboundNames?: readonly string[];
      readonly inboundNames?: readonly string[];
    },
    subscribe: (names: ReadonlySet<string>) => void,
  ) {
    this.isWildcard = options.wildcard ?? true;
    this.#subscribe = subscribe;
    this.#inbound = options.inboundNames ?? [];
    for (const name of options.outboundNames ?? []) this.#outbound.set(name, 1);
    this.#tell();
  }

  /** Names that stand for several. */
  get collections(): readonly string[] {
    return [...this.#outbound.keys()].map(canonicalName).filter(isCollection);
  }

  setInbound(names: readonly string[]): void {
    this.#inbound = names;
    this.#tell();
  }

  want(name: string): Unsubscribe {
    this.#outbound.set(name, (this.#outbound.get(name) ?? 0) + 1);
    this.#tell();
    let isWanted = true;
    return () => {
      if (!isWanted) return;
      isWanted = false;
      const left = (this.#outbound.get(name) ?? 1) - 1;
      if (left > 0) this.#outbound.set(name, left);
      else this.#outbound.delete(name);
      this.#tell();
    };
  }

  #tell(): void {
    this.#subscribe(
      new Set([...(this.isWildcard ? [WILDCARD] : []), ...this.#outbound.keys(), ...this.#inbound]),
    );
  }
}
