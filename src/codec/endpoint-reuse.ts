import type { Endpoint } from '../model/endpoint.js';
import type { EndpointDecoder } from './lb-endpoint.js';

/** Endpoints that were decoded before, each with its bytes at the same index. */
export interface KnownEndpoints {
  readonly bytes: readonly Uint8Array[];
  readonly endpoints: readonly Endpoint[];
}

/** A decoder that gives what it knows as the same object: an update changes few of many endpoints, mostly in place. */
export function reusing(decode: EndpointDecoder, known: KnownEndpoints | undefined): EndpointDecoder {
  if (known === undefined || known.bytes.length !== known.endpoints.length) return decode;
  const find = finder(known.bytes);
  return (bytes, place) => {
    const index = find(bytes);
    return (index === undefined ? undefined : known.endpoints[index]) ?? decode(bytes, place);
  };
}

/** Finds equal bytes: where the last ones were followed, or one further on, or else by an index of all. */
function finder(list: readonly Uint8Array[]): (bytes: Uint8Array) => number | undefined {
  let next = 0;
  let index: ReadonlyMap<string, number> | undefined;
  return (bytes) => {
    for (let at = next; at <= next + 1; at++) {
      const candidate = list[at];
      if (candidate === undefined || !isSame(candidate, bytes)) continue;
      next = at + 1;
      return at;
    }
    index ??= new Map(list.map((one, at) => [textOf(one), at]));
    const found = index.get(textOf(bytes));
    if (found !== undefined) next = found + 1;
    return found;
  };
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
