import { closeAtExpiry } from '../../identity/connect.js';
import type { MeshTls } from '../../identity/tls-options.js';
import { EMPTY_BODY } from '../../service/body.js';
import { Completion } from '../../service/completion.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import { TransportError } from '../../service/transport-error.js';
import { type Tunnels, watchTunnel } from '../tunnels.js';
import type { Dial } from './dial.js';

interface Tools {
  readonly mesh: MeshTls;
  readonly tunnels?: Tunnels | undefined;
}

/** Answers a CONNECT here once a connection to the endpoint stands, which then carries its bytes (Envoy `connect_config`). */
export function endConnect(
  request: Request,
  dial: Dial,
  { mesh, tunnels }: Tools,
  resolve: (response: Response) => void,
  reject: (error: TransportError) => void,
): void {
  const { context, abort } = request;
  const cancel = dial([], (error, dialed) => {
    unlink();
    if (dialed === undefined) {
      reject(new TransportError('connect', false, error ?? new Error('no connection')));
      return;
    }
    const { socket, peerId, expiresAtMs } = dialed;
    context.peerId = peerId;
    context.requestStarted?.settle();
    context.requestSent?.settle();
    const completion = new Completion();
    watchTunnel(socket, request, completion);
    tunnels?.add(socket);
    if (Number.isFinite(expiresAtMs)) closeAtExpiry(socket, expiresAtMs, mesh.clock);
    const headers = HeaderMap.empty();
    resolve({ status: 200, statusText: '', headers, body: EMPTY_BODY, completion, tunnel: socket });
  });
  const unlink = abort.onAbort((reason) => {
    cancel();
    reject(new TransportError('aborted', false, reason));
  });
}
