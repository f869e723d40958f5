import { inboundChains } from './inbound-chains.js';
import type { InboundListener } from './listener.js';

/** The SDS secrets that the connections of a server's listener need, each once. */
export function secretsOfListener(listener: InboundListener): ReadonlySet<string> {
  const names = inboundChains(listener).flatMap(({ tls }) =>
    [tls?.certificateSecret, tls?.clients?.secret].flatMap((name) => name ?? []),
  );
  return new Set(names);
}
