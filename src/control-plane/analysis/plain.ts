import { isPlainObject, type PlainObject, type PlainValue } from '../schema/value.js';

// Analysis reads documents as they are written, also of kinds that nothing else here reads, and also broken ones: what
// is not of the expected form counts as not there (the schemas complain about it).

/** A field of a map by its JSON name or its protobuf name (`workloadSelector`, `workload_selector`). */
export function field(value: PlainValue | undefined, name: string): PlainValue | undefined {
  if (!isPlainObject(value)) return undefined;
  const found = name in value ? value[name] : value[snakeCase(name)];
  return found === null ? undefined : found;
}

/** The value at a way of fields. */
export function at(value: PlainValue | undefined, ...names: readonly string[]): PlainValue | undefined {
  let found = value;
  for (const name of names) found = field(found, name);
  return found;
}

/** The text at a way of fields; empty when there is none. */
export function text(value: PlainValue | undefined, ...names: readonly string[]): string {
  const found = at(value, ...names);
  return typeof found === 'string' ? found : '';
}

/** The number at a way of fields. */
export function number(value: PlainValue | undefined, ...names: readonly string[]): number | undefined {
  const found = at(value, ...names);
  return typeof found === 'number' ? found : undefined;
}

/** The list at a way of fields; empty when there is none. */
export function list(value: PlainValue | undefined, ...names: readonly string[]): readonly PlainValue[] {
  const found = at(value, ...names);
  return Array.isArray(found) ? found : [];
}

/** The texts of a list at a way of fields. */
export function texts(value: PlainValue | undefined, ...names: readonly string[]): readonly string[] {
  return list(value, ...names).filter((item) => typeof item === 'string');
}

/** The map at a way of fields; undefined when there is none. */
export function map(value: PlainValue | undefined, ...names: readonly string[]): PlainObject | undefined {
  const found = at(value, ...names);
  return isPlainObject(found) ? found : undefined;
}

/** Labels and annotations. Values that YAML reads as numbers or truth values count as the text people meant. */
export function labelsAt(
  value: PlainValue | undefined,
  ...names: readonly string[]
): Readonly<Record<string, string>> {
  // Object.create is typed any; the object gets texts only.
  const labels = Object.create(null) as Record<string, string>;
  for (const [key, item] of Object.entries(map(value, ...names) ?? {})) {
    if (typeof item === 'string') labels[key] = item;
    else if (typeof item === 'number' || typeof item === 'boolean') labels[key] = String(item);
  }
  return labels;
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
