import type { Present } from './decode-large.js';
import { type DecodableType, WILDCARD } from './protocol.js';
import { type Complaint, decodeError } from './received.js';
import type { SotwResponse } from './sotw-messages.js';
import { unpackAny } from './unpack.js';

/** The subscribed resources of a response by name, the unreadable ones as complaints. */
export function collect(
  type: DecodableType,
  names: ReadonlySet<string>,
  response: SotwResponse,
  complaints: Complaint[],
): Map<string, Present> {
  const present = new Map<string, Present>();
  const isWildcard = names.has(WILDCARD);
  for (const [index, any] of response.resources.entries()) {
    const { name, bytes, error, ttlMs } = unpackAny(any, type.typeUrl);
    if (name === undefined) {
      complaints.push({ name, text: `${type.short} resources[${index}]: ${error ?? 'name: is missing'}` });
      continue;
    }
    if (!isWildcard && !names.has(name)) continue;
    const isRepeated = present.has(name);
    const text = isRepeated ? 'is in the response twice' : error;
    present.set(name, {
      // The complaint is not about the bytes: the same ones are good when they come alone.
      bytes: isRepeated ? undefined : bytes,
      error: text === undefined ? undefined : decodeError(text, name),
      version: response.version,
      ttlMs,
    });
  }
  return present;
}

/** Servers such as go-control-plane send heartbeats by themselves: they are not the complete set. */
export function isHeartbeat(present: ReadonlyMap<string, Present>): boolean {
  if (present.size === 0) return false;
  for (const { bytes, error } of present.values())
    if (bytes !== undefined || error !== undefined) return false;
  return true;
}
