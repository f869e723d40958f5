import type { MetadataStruct, MetadataValue } from '../../../model/metadata.js';

/** What a request asks of hosts, in order of the keys. */
export interface Criteria {
  readonly keys: readonly string[];
  /** Text of each key with its value; equal for equal values. */
  readonly pairs: readonly string[];
}

/** The criteria that a struct stands for, but for one key. */
export function criteriaOf(struct: MetadataStruct, leftOut?: string): Criteria {
  const keys = Object.keys(struct)
    .filter((key) => key !== leftOut)
    .sort();
  return { keys, pairs: keys.map((key) => pairOf(key, struct[key] ?? null)) };
}

/** Those criteria whose keys are among the given ones. */
export function onlyKeys({ keys, pairs }: Criteria, wanted: readonly string[]): Criteria {
  const isWanted = (_: string, i: number) => wanted.includes(keys[i] ?? '');
  return { keys: keys.filter(isWanted), pairs: pairs.filter(isWanted) };
}

/** What a subset is found by. */
export function subsetKey(pairs: readonly string[]): string {
  return pairs.join(',');
}

/** What a selector is found by. */
export function selectorKey(keys: readonly string[]): string {
  return keys.map((key) => JSON.stringify(key)).join(',');
}

/** The keys of the subsets that a host belongs to by one selector: with `listAsAny` one for each element of a list. */
export function subsetKeysOf(
  metadata: MetadataStruct,
  keys: readonly string[],
  listAsAny: boolean,
): readonly string[] {
  let combinations: readonly string[][] = [[]];
  for (const key of keys) {
    if (!Object.hasOwn(metadata, key)) return [];
    const value = metadata[key] ?? null;
    const pairs = (listAsAny && isList(value) ? value : [value]).map((one) => pairOf(key, one));
    combinations = combinations.flatMap((before) => pairs.map((pair) => [...before, pair]));
  }
  return [...new Set(combinations.map(subsetKey))];
}

/** Envoy: whether a host has all the pairs; with `listAsAny`, one element of its list is enough. */
export function hasPairs(
  metadata: MetadataStruct | undefined,
  wanted: MetadataStruct,
  listAsAny: boolean,
): boolean {
  return Object.entries(wanted).every(([key, value]) => {
    if (metadata === undefined || !Object.hasOwn(metadata, key)) return false;
    const own = metadata[key] ?? null;
    const text = textOf(value);
    return listAsAny && isList(own) ? own.some((one) => textOf(one) === text) : textOf(own) === text;
  });
}

function pairOf(key: string, value: MetadataValue): string {
  return `${JSON.stringify(key)}:${textOf(value)}`;
}

/** The value as JSON with its keys in order. Numbers that JSON does not have stand for themselves. */
function textOf(value: MetadataValue): string {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isList(value)) return `[${value.map(textOf).join(',')}]`;
  const { pairs } = criteriaOf(value);
  return `{${pairs.join(',')}}`;
}

function isList(value: MetadataValue): value is readonly MetadataValue[] {
  return Array.isArray(value);
}
