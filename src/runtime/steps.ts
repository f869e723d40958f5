/** Work that may be interrupted wherever it yields, or left there for ever. */
export type Steps<T> = Generator<void, T>;

/** Does all of the work at once. */
export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** Of things that take some hundred microseconds each, so many keep nobody waiting. */
const PAUSE_EVERY = 8;

/** Counts what is done between two pauses. */
export class Pauses {
  #count = 0;

  /** One more thing is done: whether it is time to yield. */
  areDue(): boolean {
    return ++this.#count % PAUSE_EVERY === 0;
  }
}

/** Lets one run at a time change something: a run that pauses while another begins is begun again. */
export class Runs {
  #latest = 0;

  *take<T>(begin: () => Steps<T>): Steps<T> {
    for (;;) {
      const run = ++this.#latest;
      const steps = begin();
      while (this.#latest === run) {
        const step = steps.next();
        if (step.done === true) return step.value;
        yield;
      }
    }
  }
}
