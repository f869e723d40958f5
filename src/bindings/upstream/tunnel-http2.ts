import type { DialDone, TransportOptions } from '../../cluster/transport.js';
import type { MeshTls } from '../../identity/tls-options.js';
import type { TcpTunnel } from '../../model/tcp-proxy.js';
import { Abort, type Unsubscribe } from '../../runtime/abort.js';
import type { Random } from '../../runtime/random.js';
import { discardBody, EMPTY_BODY } from '../../service/body.js';
import { createExchange } from '../../service/context.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';
import type { Elsewhere } from './pools.js';
import { tunnelRefused } from './tunnel-refused.js';

/** A tunnel through an endpoint that speaks HTTP/2: one stream of a connection that it shares with others. */
export function tunnelOverHttp2(
  tunnel: TcpTunnel,
  send: Elsewhere,
  { tls }: Pick<TransportOptions, 'tls'>,
  { mesh, random }: { readonly mesh: MeshTls; readonly random: Random },
  callback: DialDone,
): Unsubscribe {
  const { method, target, path } = tunnel;
  const context = createExchange('outbound', mesh.clock.now(), random());
  context.upgrade = method === 'CONNECT' ? 'connect' : 'post';
  const abort = new Abort();
  const request: Request = {
    method,
    scheme: tls === undefined ? 'http' : 'https',
    authority: target,
    path,
    headers: HeaderMap.empty(),
    body: EMPTY_BODY,
    abort,
    context,
  };
  send(
    request,
    ({ status, tunnel: made, body }) => {
      // Envoy: over HTTP/2 nothing but 200.
      if (made !== undefined && status === 200) {
        callback(null, made, context.peerId);
        return;
      }
      made?.destroy();
      discardBody(body);
      if (!abort.aborted) callback(tunnelRefused(tunnel, status));
    },
    (error) => {
      if (!abort.aborted) callback(error.cause instanceof Error ? error.cause : error);
    },
  );
  return () => abort.abort(new Error('nobody waits for the tunnel any more'));
}
