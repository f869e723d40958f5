/** A figure that only grows, or a gauge that also falls. Whoever counts holds it, so that counting costs an addition. */
export interface FilterCounter {
  value: number;
}

/** What filters keep while stacks come and go; one per mesh. */
export interface FilterMemory {
  /**
   * What belongs to one piece of configuration (buckets, gauges), made on first use. All stacks that carry the piece
   * share it, as routes share a filter in Envoy, and it lives as long as the piece does.
   */
  of<T>(config: object, make: () => T): T;
  /** The figure of this name (Envoy's, e.g. `fault.delays_injected`). */
  counter(name: string): FilterCounter;
  /** All figures by name. */
  readonly counters: ReadonlyMap<string, FilterCounter>;
}

/** An empty memory. */
export function createFilterMemory(): FilterMemory {
  const states = new WeakMap<object, unknown>();
  const counters = new Map<string, FilterCounter>();
  return {
    of<T>(config: object, make: () => T): T {
      if (!states.has(config)) states.set(config, make());
      // One configuration has one kind of state, and whoever asks for it made it.
      return states.get(config) as T;
    },
    counter(name) {
      let counter = counters.get(name);
      if (counter === undefined) {
        counter = { value: 0 };
        counters.set(name, counter);
      }
      return counter;
    },
    counters,
  };
}
