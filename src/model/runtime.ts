import type { FractionalPercent } from './percent.js';

/** What a key of Envoy's runtime may stand for. */
export type RuntimeValue = number | boolean | string | FractionalPercent;

/** Envoy Runtime (RTDS): one layer of values, by their keys with dots between the parts. */
export interface RuntimeLayer {
  readonly name: string;
  readonly values: ReadonlyMap<string, RuntimeValue>;
}

/** The layers that make the runtime, the last one above all: values of its own, or the name of a layer that comes by RTDS. */
export type RuntimeLayerSource =
  | { readonly kind: 'static'; readonly values: ReadonlyMap<string, RuntimeValue> }
  | { readonly kind: 'rtds'; readonly name: string };

/** The keys that fields of a configuration follow, by the names of the fields. */
export type RuntimeKeys<Field extends string> = Readonly<Partial<Record<Field, string>>>;

/** The values in force. */
export type Runtime = ReadonlyMap<string, RuntimeValue>;

export const NO_RUNTIME: Runtime = new Map();

/** Envoy: a whole number is a percentage, and more than 100 is always; what is neither leaves the default in force. */
export function fractionOf(runtime: Runtime, key: string): FractionalPercent | undefined {
  const value = runtime.get(key);
  if (typeof value === 'object') return value;
  const number = integerOf(runtime, key);
  return number === undefined ? undefined : { numerator: Math.min(number, 100), denominator: 100 };
}

/** Envoy: text that reads as one is a number. */
export function integerOf(runtime: Runtime, key: string): number | undefined {
  const value = runtime.get(key);
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** Envoy: text that reads as one is a number. */
export function numberOf(runtime: Runtime, key: string): number | undefined {
  const value = runtime.get(key);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/** Envoy: only `true` and `false`, as text or not, are flags. */
export function flagOf(runtime: Runtime, key: string): boolean | undefined {
  const value = runtime.get(key);
  const text = typeof value === 'string' ? value.trim().toLowerCase() : value;
  if (text === true || text === 'true') return true;
  return text === false || text === 'false' ? false : undefined;
}

/**
 * The values of a nested object, as Envoy reads a layer: keys joined by dots, and an object with a numerator is a fraction.
 * `refuse` hears of a key whose value is none.
 */
export function flatten(
  object: Readonly<Record<string, unknown>>,
  refuse: (key: string) => never,
): ReadonlyMap<string, RuntimeValue> {
  const values = new Map<string, RuntimeValue>();
  const walk = (value: unknown, key: string): void => {
    if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') {
      values.set(key, value);
    } else if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(key);
    else if ('numerator' in value || 'denominator' in value)
      values.set(key, readFraction(value) ?? refuse(key));
    else for (const [name, one] of Object.entries(value)) walk(one, `${key}.${name}`);
  };
  for (const [name, value] of Object.entries(object)) walk(value, name);
  return values;
}

const DENOMINATORS = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

function readFraction(value: object): FractionalPercent | undefined {
  const { numerator = 0, denominator = 'HUNDRED' }: { numerator?: unknown; denominator?: unknown } = value;
  const unit = Object.entries(DENOMINATORS).find(
    ([name, number], index) => denominator === name || denominator === index || denominator === number,
  );
  if (typeof numerator !== 'number' || !Number.isInteger(numerator) || numerator < 0) return undefined;
  return unit && { numerator, denominator: unit[1] };
}
