import { FAULT_RUNTIME_KEYS } from '../model/fault-runtime.js';
import type { FaultConfig } from '../model/filter-config.js';
import type { FractionalPercent } from '../model/percent.js';
import { flagOf, fractionOf, integerOf, numberOf, type Runtime } from '../model/runtime.js';

interface Known {
  readonly runtime: Runtime;
  readonly result: object;
  /** The keys that were looked up, with what was found. */
  readonly seen: ReadonlyMap<string, string>;
}

const known = new WeakMap<object, Known>();
const origins = new WeakMap<object, object>();

/**
 * The configuration with the values that the runtime has for its keys (Envoy `runtime_key`), itself when there are none.
 * So a request meets plain numbers. The same object as long as these values are the same.
 */
export function withRuntime<T extends object>(config: T, runtime: Runtime): T {
  const last = known.get(config);
  if (last === undefined ? runtime.size === 0 : last.runtime === runtime || isSame(last.seen, runtime)) {
    // What was made of this object is of its type.
    return (last?.result ?? config) as T;
  }
  const filling = new Filling(runtime);
  // What is filled in stays of its type.
  const result = filling.value(config) as T;
  known.set(config, { runtime, result, seen: filling.seen });
  if (result !== config) origins.set(result, config);
  return result;
}

/** What a configuration was before the values of the runtime were filled in. */
export function originOf<T extends object>(config: T): T {
  // It is of the same type.
  return (origins.get(config) ?? config) as T;
}

function isSame(seen: ReadonlyMap<string, string>, runtime: Runtime): boolean {
  for (const [key, text] of seen) if (textOf(runtime, key) !== text) return false;
  return true;
}

function textOf(runtime: Runtime, key: string): string {
  return JSON.stringify(runtime.get(key)) ?? '';
}

/** Envoy: what is set is brought into the bounds of its field. */
function withinBounds(field: string, value: number): number {
  if (field === 'aggression') return Math.max(1, value);
  return Math.max(0, field.endsWith('Percent') ? Math.min(100, value) : value);
}

class Filling {
  readonly seen = new Map<string, string>();
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The value, or a changed copy; what has no key in it stays the same object. */
  value(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return this.#list(value);
    if (value instanceof Map) return this.#map(value);
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    // Objects of the model are plain.
    const record = value as Readonly<Record<string, unknown>>;
    if (typeof record['runtimeKey'] === 'string' && 'numerator' in record) {
      return this.#fraction(value as FractionalPercent, record['runtimeKey']);
    }
    // What an application's filter is configured with is its own.
    if (record['kind'] === 'custom') return value;
    const filled = this.#record(record);
    if (record['kind'] === 'fault') return this.#fault(filled as unknown as FaultConfig);
    const keys = record['runtimeKeys'];
    return typeof keys === 'object' && keys !== null
      ? this.#keyed(filled, keys as Readonly<Record<string, unknown>>)
      : filled;
  }

  /** Flags and numbers that follow a key each. */
  #keyed(
    record: Readonly<Record<string, unknown>>,
    keys: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> {
    let changed: Record<string, unknown> | undefined;
    for (const [field, key] of Object.entries(keys)) {
      if (typeof key !== 'string') continue;
      const value = typeof record[field] === 'boolean' ? this.#look(key, flagOf) : this.#look(key, numberOf);
      const bounded = typeof value === 'number' ? withinBounds(field, value) : value;
      if (bounded === undefined || bounded === record[field]) continue;
      changed ??= { ...record };
      changed[field] = bounded;
    }
    return changed ?? record;
  }

  #list(list: readonly unknown[]): readonly unknown[] {
    let changed: unknown[] | undefined;
    list.forEach((one, index) => {
      const filled = this.value(one);
      if (filled === one) return;
      changed ??= [...list];
      changed[index] = filled;
    });
    return changed ?? list;
  }

  #map(map: ReadonlyMap<unknown, unknown>): ReadonlyMap<unknown, unknown> {
    let changed: Map<unknown, unknown> | undefined;
    for (const [key, one] of map) {
      const filled = this.value(one);
      if (filled === one) continue;
      changed ??= new Map(map);
      changed.set(key, filled);
    }
    return changed ?? map;
  }

  #record(record: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    let changed: Record<string, unknown> | undefined;
    for (const [name, one] of Object.entries(record)) {
      const filled = this.value(one);
      if (filled === one) continue;
      changed ??= { ...record };
      changed[name] = filled;
    }
    return changed ?? record;
  }

  #fraction(percent: FractionalPercent, key: string): FractionalPercent {
    return this.#look(key, fractionOf) ?? percent;
  }

  /** Envoy: a fault's keys have names of their own, and its percentages, times and codes all follow the runtime. */
  #fault(config: FaultConfig): FaultConfig {
    const keys = { ...FAULT_RUNTIME_KEYS, ...config.runtimeKeys };
    const delayPercent = this.#look(keys.delayPercent, fractionOf);
    const delayMs = this.#look(keys.delayMs, integerOf);
    const abortPercent = this.#look(keys.abortPercent, fractionOf);
    const httpStatus = this.#look(keys.httpStatus, integerOf);
    const grpcStatus = this.#look(keys.grpcStatus, integerOf);
    const maxActive = this.#look(keys.maxActiveFaults, integerOf);
    const ratePercent = this.#look(keys.ratePercent, fractionOf);
    const { delay, abort, responseRate } = config;
    const isPlain = [
      delayPercent,
      delayMs,
      abortPercent,
      httpStatus,
      grpcStatus,
      maxActive,
      ratePercent,
    ].every((value) => value === undefined);
    if (isPlain) return config;
    const status =
      abort?.status.kind === 'http' && httpStatus !== undefined && httpStatus >= 200 && httpStatus <= 599
        ? { kind: 'http' as const, code: httpStatus }
        : abort?.status.kind === 'grpc' && grpcStatus !== undefined
          ? { kind: 'grpc' as const, code: grpcStatus }
          : abort?.status;
    return {
      ...config,
      delay: delay && {
        fixedMs: delay.fixedMs === undefined ? undefined : (delayMs ?? delay.fixedMs),
        percentage: delayPercent ?? delay.percentage,
      },
      abort: abort && { status: status ?? abort.status, percentage: abortPercent ?? abort.percentage },
      responseRate: responseRate && {
        ...responseRate,
        percentage: ratePercent ?? responseRate.percentage,
      },
      maxActiveFaults: maxActive ?? config.maxActiveFaults,
    };
  }

  #look<T>(key: string, read: (runtime: Runtime, key: string) => T): T {
    this.seen.set(key, textOf(this.#runtime, key));
    return read(this.#runtime, key);
  }
}
