import type { Unsubscribe } from './abort.js';

/** A value that changes, with a way to hear of it. */
export interface Signal<T> {
  readonly value: T;
  /** Calls `listener` on each later change (not at once). */
  subscribe(listener: (value: T) => void): Unsubscribe;
}

/** A Signal that its owner can set. */
export interface MutableSignal<T> extends Signal<T> {
  set(value: T): void;
}

/** Makes a signal. Setting the identical value again tells nobody. */
export function createSignal<T>(initial: T): MutableSignal<T> {
  let current = initial;
  const listeners = new Set<(value: T) => void>();
  return {
    get value() {
      return current;
    },
    set(value) {
      if (Object.is(value, current)) return;
      current = value;
      for (const listener of Array.from(listeners)) listener(value);
    },
    subscribe(listener) {
      // A wrapper, so that the same function may subscribe twice.
      const entry = (value: T) => listener(value);
      listeners.add(entry);
      return () => {
        listeners.delete(entry);
      };
    },
  };
}

/** Waits until the predicate holds for the signal's value. */
export function until<T>(signal: Signal<T>, predicate: (value: T) => boolean): Promise<T> {
  if (predicate(signal.value)) return Promise.resolve(signal.value);
  return new Promise((resolve) => {
    const unsubscribe = signal.subscribe((value) => {
      if (!predicate(value)) return;
      unsubscribe();
      resolve(value);
    });
  });
}
