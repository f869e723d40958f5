import type { SecretLookup } from '../../cluster/secret-table.js';
import type { Transport } from '../../cluster/transport.js';
import type { IdentitySource } from '../../identity/source.js';
import { createMeshTls } from '../../identity/tls-options.js';
import type { Clock } from '../../runtime/clock.js';
import { createLoopLoad } from '../../runtime/loop-load.js';
import type { Random } from '../../runtime/random.js';
import type { Tunnels } from '../tunnels.js';
import { UpstreamEndpoint } from './endpoint.js';

export interface UpstreamTransportTools {
  readonly identity: IdentitySource;
  readonly clock: Clock;
  readonly random: Random;
  /** What TLS configurations name (SDS). */
  readonly secrets?: SecretLookup | undefined;
  /** Hears of connections that leave HTTP. */
  readonly tunnels?: Tunnels | undefined;
}

/** Sends over HTTP/1.1 with undici and over HTTP/2 with node:http2. */
export function upstreamTransport(tools: UpstreamTransportTools): Transport {
  const { identity, clock, random, secrets, tunnels } = tools;
  // One set of contexts for all endpoints: sharing halves the cost of a handshake.
  const mesh = createMeshTls(identity, { clock });
  const isBusy = createLoopLoad();
  return (endpoint, options, permits) =>
    new UpstreamEndpoint(endpoint, options, { mesh, random, permits, isBusy, secrets, tunnels });
}
