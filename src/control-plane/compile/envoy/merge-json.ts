/** A message as JSON. */
export interface JsonMap {
  readonly [name: string]: unknown;
}

/** Maps whose keys are no names of fields. */
const MAPS: ReadonlySet<string> = new Set([
  'metadata',
  'filter_metadata',
  'typed_extension_protocol_options',
]);

/**
 * Merges one message into another as protobuf does, both written as JSON: messages are merged, lists appended, all else is
 * replaced. What is packed is merged where it is of the same type.
 */
export function mergeJson(into: JsonMap, from: JsonMap): JsonMap {
  return mergeObject(into, from, false);
}

function mergeObject(into: JsonMap, from: JsonMap, isMap: boolean): JsonMap {
  const type = from['@type'];
  if (type !== undefined && into['@type'] !== type) return named(from, isMap);
  const merged = new Map(Object.entries(into));
  for (const [given, value] of Object.entries(from)) {
    const name = isMap ? given : fieldName(given);
    const own = merged.get(name);
    if (Array.isArray(own) && Array.isArray(value)) merged.set(name, [...own, ...value.map(namedValue)]);
    else if (isJsonObject(own) && isJsonObject(value))
      merged.set(name, mergeObject(own, value, MAPS.has(name)));
    else merged.set(name, isJsonObject(value) ? named(value, MAPS.has(name)) : namedValue(value));
  }
  return Object.fromEntries(merged);
}

/** With the names of fields as our files have them. */
function named(value: JsonMap, isMap: boolean): JsonMap {
  return Object.fromEntries(
    Object.entries(value).map(([given, one]) => {
      const name = isMap ? given : fieldName(given);
      return [name, isJsonObject(one) ? named(one, MAPS.has(name)) : namedValue(one)];
    }),
  );
}

function namedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(namedValue);
  return isJsonObject(value) ? named(value, false) : value;
}

/** Both `statsConfig` and `stats_config` are JSON's name of a field. */
function fieldName(name: string): string {
  return /^[a-z][A-Za-z0-9]*$/.test(name)
    ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    : name;
}

/** Whether a value is a map. */
export function isJsonObject(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
