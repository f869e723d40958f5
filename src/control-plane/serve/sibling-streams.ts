import type { ServedType } from './resources.js';

/** A stream for one type. */
export interface TypeStream {
  readonly only: ServedType;
  /** Address of its connection. */
  readonly peer: string;
}

/**
 * Clients that use a stream for each type: what is ordered on one stream (ADS) is ordered over those of a client, too. A
 * client is its node id and what its connections proved.
 */
export class SiblingStreams<S extends TypeStream> {
  readonly #byClient = new Map<string, Set<S>>();

  join(client: string, stream: S): void {
    const before = this.#byClient.get(client);
    if (before === undefined) this.#byClient.set(client, new Set([stream]));
    else before.add(stream);
  }

  leave(client: string, stream: S): void {
    const streams = this.#byClient.get(client);
    streams?.delete(stream);
    if (streams?.size === 0) this.#byClient.delete(client);
  }

  /**
   * The other streams of a client, for other types. Processes that share an id are kept apart where they can be: of a
   * type that the same connection has, only that stream counts.
   */
  of(client: string, stream: S): readonly S[] {
    const streams = this.#byClient.get(client);
    if (streams === undefined || streams.size === 1) return NONE;
    const others = [...streams].filter(({ only }) => only !== stream.only);
    const near = others.filter(({ peer }) => peer === stream.peer);
    const far = others.filter(({ peer, only }) => peer !== stream.peer && !near.some((o) => o.only === only));
    return [...near, ...far];
  }
}

const NONE: readonly never[] = [];
