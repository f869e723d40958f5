import { isIP } from 'node:net';
import type { HeaderMap } from '../service/headers.js';

/** The client as `x-forwarded-for` tells it. */
export interface ForwardedClient {
  readonly address: string | undefined;
  /** Whether the header has this one entry only: then the request may be internal. */
  readonly isOnly: boolean;
}

/** Envoy: the entry that stands `skip` places from the right; none when there are fewer, or it is no address. */
export function lastForwardedFor(headers: HeaderMap, skip: number): ForwardedClient {
  const entries = entriesOf(headers);
  const entry = entries.at(-1 - skip);
  const address = entry === undefined || isIP(entry) === 0 ? undefined : entry;
  return { address, isOnly: entries.length === 1 && skip === 0 && address !== undefined };
}

function entriesOf(headers: HeaderMap): readonly string[] {
  const all = headers.getAll('x-forwarded-for');
  return all.length === 0
    ? []
    : all
        .join(',')
        .split(',')
        .map((entry) => entry.trim());
}

/** Appends an address, with a comma and no space (Envoy). */
export function appendForwardedFor(headers: HeaderMap, address: string): void {
  const known = headers.getAll('x-forwarded-for').join(',');
  headers.set('x-forwarded-for', known === '' ? address : `${known},${address}`);
}
