import { isEqual } from '../../runtime/equal.js';
import type { Ground } from '../kinds/ground.js';
import { isSameAnswer } from '../kinds/reads.js';
import { type CompileWorld, type PieceReads, type Recorded, recordPiece } from './recorded.js';

interface Piece<T> {
  /** What it is made of besides what it asked. */
  readonly input: readonly unknown[];
  readonly reads: PieceReads;
  readonly value: T;
  /** The last run that took it. */
  run: number;
}

/** A piece that was made, replaced or is gone. */
export interface PieceChange<T> {
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/**
 * Pieces of one sort, each by its name. What a run does not take is forgotten. A run may be left in the middle: the next
 * takes what it made.
 */
export class Pieces<T> {
  readonly #ground: Ground;
  readonly #keep: (before: T, after: T) => T;
  readonly #pieces = new Map<string, Piece<T>>();
  #run = 1;
  #taken = 0;
  /** By name, since the end of the last run that had one. */
  readonly #changes = new Map<string, PieceChange<T>>();

  /** `keep` tells what of the former piece stays in the new one. */
  constructor(ground: Ground, keep: (before: T, after: T) => T) {
    this.#ground = ground;
    this.#keep = keep;
  }

  /** Begins a run. */
  begin(): void {
    this.#run++;
    this.#taken = 0;
  }

  /** The piece; made anew where its input, or the answer to something it asked, is another than when it was made. */
  take(name: string, input: readonly unknown[], world: CompileWorld, make: (recorded: Recorded) => T): T {
    const last = this.#pieces.get(name);
    if (last?.run !== this.#run) this.#taken++;
    if (last !== undefined && isSameInput(last.input, input) && last.reads.hold(world)) {
      last.run = this.#run;
      return last.value;
    }
    const { value: made, reads } = recordPiece(world, make);
    this.#ground.add(reads.documents);
    const value = last === undefined ? made : this.#keep(last.value, made);
    this.#pieces.set(name, { input, reads, value, run: this.#run });
    if (value !== last?.value) this.#note(name, last?.value, value);
    return value;
  }

  /** Ends a run; tells what is not as after the run that ended before. */
  end(): readonly PieceChange<T>[] {
    if (this.#taken < this.#pieces.size) {
      for (const [name, { run, value }] of this.#pieces) {
        if (run === this.#run) continue;
        this.#pieces.delete(name);
        this.#note(name, value, undefined);
      }
    }
    const changes = [...this.#changes.values()].filter(({ before, after }) => before !== after);
    this.#changes.clear();
    return changes;
  }

  #note(name: string, before: T | undefined, after: T | undefined): void {
    const noted = this.#changes.get(name);
    this.#changes.set(name, { before: noted === undefined ? before : noted.before, after });
  }
}

function isSameInput(left: readonly unknown[], right: readonly unknown[]): boolean {
  for (let at = 0; at < left.length; at++) {
    const one = left[at];
    if (one !== right[at] && !isSameAnswer(one, right[at]) && !isEqual(one, right[at])) return false;
  }
  return left.length === right.length;
}
