import { isJsonObject, type JsonObject, type JsonValue, parseStrictJson } from '../runtime/strict-json.js';

/** More keys than any issuer has: an attack on memory. */
const MAX_KEYS = 1_000;

/**
 * The keys of an issuer's JWK set, unread; undefined when the text is none. A set in which a member stands twice is none:
 * two readers might believe different ones.
 */
export function readKeys(text: string): readonly JsonObject[] | undefined {
  let json: JsonValue;
  try {
    json = parseStrictJson(text, (what) => new TypeError(what));
  } catch {
    return undefined;
  }
  const keys = isJsonObject(json) ? json['keys'] : undefined;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) return undefined;
  return keys.filter((key: JsonValue) => isJsonObject(key));
}
