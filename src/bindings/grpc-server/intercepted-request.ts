import type { Metadata, ServerInterceptingCallInterface } from '@grpc/grpc-js';
import type { ForwardedClientCert } from '../../model/client-cert.js';
import { Abort } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import { EMPTY_BODY } from '../../service/body.js';
import type { ConnectionInfo, SocketEnd } from '../../service/connection.js';
import { createExchange } from '../../service/context.js';
import type { Request } from '../../service/service.js';
import type { WorkloadInfo } from '../../service/workload.js';
import { forwardedClientCert } from '../http/forwarded-client-cert.js';
import { headersOf } from './call-metadata.js';
import type { CallPeer } from './call-peer.js';

/** What an intercepted call is made from. */
export interface InterceptedHead {
  readonly path: string;
  readonly metadata: Metadata;
  readonly peer: CallPeer | undefined;
  /** Unique in this process. */
  readonly connectionId: number;
  /** What becomes of `x-forwarded-client-cert`. */
  readonly clientCert: ForwardedClientCert | undefined;
  /** Reads the metadata by which callers of the mesh say who they are. */
  readonly readPeer: (text: string) => WorkloadInfo | undefined;
}

/** The request of the data path for a call as an interceptor sees it; `asksBack` = the caller wants to know who answers. */
export function interceptedRequest(
  call: ServerInterceptingCallInterface,
  { path, metadata, peer, connectionId, readPeer, clientCert }: InterceptedHead,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): { readonly request: Request; readonly asksBack: boolean } {
  const context = createExchange('inbound', clock.now(), random());
  const headers = headersOf(metadata);
  const received = headers.take('x-forwarded-client-cert');
  const said = headers.take('x-envoy-peer-metadata');
  const asksBack = headers.take('x-envoy-peer-metadata-id') !== undefined;
  headers.set('content-type', 'application/grpc');
  headers.set('te', 'trailers');
  context.peerId = peer?.spiffeId;
  context.peer = said === undefined ? undefined : readPeer(said);
  context.protocol = 'HTTP/2';
  const connection = connectionOf(call, peer, connectionId);
  context.connection = connection;
  const forwarded = forwardedClientCert(clientCert, received, peer, () => connection);
  if (forwarded !== undefined) headers.append('x-forwarded-client-cert', forwarded);
  // Without one it is infinity.
  const leftMs = Number(call.getDeadline()) - clock.wallTime();
  if (Number.isFinite(leftMs)) context.deadlineMs = context.startMs + Math.max(0, leftMs);
  const request: Request = {
    method: 'POST',
    scheme: peer === undefined ? 'http' : 'https',
    authority: call.getHost(),
    path,
    headers,
    // Interceptors see messages; their bytes are below.
    body: EMPTY_BODY,
    abort: new Abort(),
    context,
  };
  return { request, asksBack };
}

/** What grpc-js tells of a call's connection. */
export function connectionOf(
  call: ServerInterceptingCallInterface,
  peer: CallPeer | undefined,
  id: number,
): ConnectionInfo {
  const { remoteAddress, remotePort, localAddress, localPort } = call.getConnectionInfo();
  const remote = endOf(remoteAddress, remotePort);
  return { id, directRemote: remote, remote, local: endOf(localAddress, localPort), tls: peer?.tls };
}

function endOf(address: string | undefined, port = 0): SocketEnd | undefined {
  // A dual-stack server sees IPv4 callers in this form.
  return address === undefined ? undefined : { address: address.replace(/^::ffff:(?=\d+\.)/, ''), port };
}
