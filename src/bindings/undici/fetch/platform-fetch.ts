import type { Dispatcher } from 'undici';

/** The platform's fetch reads `init.dispatcher`, of whichever undici: its types know its own only. */
type DispatchingFetch = (
  input: Parameters<typeof fetch>[0],
  init: Omit<RequestInit, 'dispatcher'> & { dispatcher?: unknown },
) => Promise<Response>;

/**
 * Makes a `fetch` that sends through the given dispatcher and is the platform's own underneath: its responses are
 * `instanceof` the global Response. A `dispatcher` in `init` wins.
 */
export function createPlatformFetch(dispatcher: Dispatcher): typeof globalThis.fetch {
  const platformFetch = globalThis.fetch as DispatchingFetch;
  return (input, init) => platformFetch(input, { dispatcher, ...init });
}
