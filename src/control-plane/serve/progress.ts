import type { Channel } from './channel.js';

/** Where a client stood when everything due had been sent to it. */
interface Mark {
  readonly revision: number;
  /** Number of the last response sent until then. */
  readonly sequence: number;
}

/** A client that never answers must not cost memory for ever. */
const MAX_MARKS = 16;

/** Which revision of the configuration a client has taken in, as far as its answers tell. */
export class Progress {
  #marks: readonly Mark[] = [];
  #applied = -1;

  /** Everything that follows from the revision has been sent, with the response of that number as the last. */
  reached(revision: number, sequence: number): void {
    const before = this.#marks.at(-1);
    const kept = before?.sequence === sequence ? this.#marks.slice(0, -1) : this.#marks;
    // The oldest and the newest count; what is between is only earlier news.
    const room = kept.length < MAX_MARKS ? kept : kept.toSpliced(1, 1);
    this.#marks = [...room, { revision, sequence }];
  }

  /** The newest revision that the client answered everything of; -1 when there is none. */
  applied(channels: Iterable<Channel>): number {
    let open = Number.POSITIVE_INFINITY;
    for (const { ledger } of channels) {
      const [oldest] = ledger.outstanding;
      if (oldest !== undefined) open = Math.min(open, oldest.sequence);
    }
    const done = this.#marks.filter(({ sequence }) => sequence < open);
    this.#applied = done.at(-1)?.revision ?? this.#applied;
    if (done.length > 0) this.#marks = this.#marks.slice(done.length);
    return this.#applied;
  }
}
