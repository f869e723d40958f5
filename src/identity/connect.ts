import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import type { Authorizer } from './authorizer.js';
import { explainTlsError } from './tls-error.js';
import type { MeshTls } from './tls-options.js';
import type { VerifiedPeer } from './verify.js';
import { atWallTime } from './wall-timer.js';

/** A TCP address, with the local one to connect from where that matters, or a Unix socket. */
export type ConnectTarget =
  | { readonly host: string; readonly port: number; readonly localAddress?: string }
  | { readonly path: string }
  /** A connection that stands already. */
  | { readonly socket: Socket };

/** Whom to accept at the other end of a connection, and how to ask. */
export interface MeshConnectDetails {
  /** Server name indication; an IP address is never sent. */
  readonly sni?: string | undefined;
  readonly alpn?: readonly string[] | undefined;
  readonly authorizer?: Authorizer | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Where to connect, and whom to accept there. */
export type MeshConnectOptions = ConnectTarget & MeshConnectDetails;

/** A connection whose other end is verified. */
export interface MeshConnection {
  readonly socket: TLSSocket;
  readonly peer: VerifiedPeer;
  /** Calendar time when the first of both certificates expires; the connection must not live longer. */
  readonly expiresAtMs: number;
}

/** Hears how an attempt to connect ended. */
export type ConnectCallback = (error: MeshError | null, connection?: MeshConnection) => void;

/**
 * Connects with mutual TLS and verifies the peer's SPIFFE ID in its own hook, on every connection. The callback runs
 * once; from then on errors of the socket are the caller's. Returns a function that gives up before that, after which
 * the callback does not run.
 */
export function connectMeshTls(
  mesh: MeshTls,
  options: MeshConnectOptions,
  callback: ConnectCallback,
): Unsubscribe {
  const resource = resourceOf(options);
  let socket: TLSSocket;
  try {
    socket = openSocket(mesh, options);
  } catch (error) {
    const failure = explainTlsError(error, resource);
    let isWanted = true;
    queueMicrotask(() => isWanted && callback(failure));
    return () => {
      isWanted = false;
    };
  }
  let isPending = true;
  const stop = () => {
    isPending = false;
    timer?.cancel();
    socket.off('secureConnect', onSecure);
    socket.off('error', onError);
    socket.off('close', onClose);
  };
  const fail = (error: MeshError) => {
    stop();
    discard(socket);
    callback(error);
  };
  const onSecure = () => {
    let peer: VerifiedPeer;
    try {
      peer = mesh.verify(socket, options.authorizer);
    } catch (error) {
      fail(explainTlsError(error, resource));
      return;
    }
    stop();
    socket.setNoDelay(true);
    endWhenDistrusted(mesh, socket, peer);
    callback(null, { socket, peer, expiresAtMs: Math.min(peer.notAfterMs, mesh.notAfterMs()) });
  };
  const onError = (error: Error) => fail(explainTlsError(error, resource));
  const onClose = () => fail(closedEarly(resource));
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : mesh.clock.schedule(options.timeoutMs, () => fail(timedOut(resource, options.timeoutMs)));
  socket.on('secureConnect', onSecure);
  socket.on('error', onError);
  socket.on('close', onClose);
  return () => {
    if (!isPending) return;
    stop();
    discard(socket);
  };
}

function openSocket(mesh: MeshTls, options: MeshConnectOptions): TLSSocket {
  const { sni, alpn = [] } = options;
  return connect({
    ...targetOf(options),
    secureContext: mesh.clientContext(),
    // Node would send the host's name; the mesh sends what its configuration says, or nothing.
    servername: sni === undefined || isIP(sni) !== 0 ? '' : sni,
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    rejectUnauthorized: true,
    // A SPIFFE certificate has no DNS name to compare: who it is, is decided in `secureConnect`, which unlike this
    // hook runs on every connection.
    checkServerIdentity: () => undefined,
  });
}

function targetOf(options: MeshConnectOptions): ConnectionOptions {
  if ('socket' in options) return { socket: options.socket };
  if ('path' in options) return { path: options.path };
  const { host, port, localAddress } = options;
  return { host, port, ...(localAddress !== undefined && { localAddress }) };
}

function resourceOf(options: MeshConnectOptions): string {
  if ('path' in options) return options.path;
  const { host, port } =
    'socket' in options ? { host: options.socket.remoteAddress, port: options.socket.remotePort } : options;
  return `${host}:${port}`;
}

/** Who connected to a server of the mesh; undefined = no certificate, where the server does not require one. */
export function verifyServerSidePeer(
  mesh: MeshTls,
  socket: TLSSocket,
  authorizer?: Authorizer,
): VerifiedPeer | undefined {
  if (socket.getPeerX509Certificate() === undefined) return undefined;
  return mesh.verify(socket, authorizer);
}

/** Ends a connection when the calendar reaches `expiresAtMs`; unsubscribe when it closed before. */
export function closeAtExpiry(socket: Duplex, expiresAtMs: number, clock: Clock): Unsubscribe {
  const timer = atWallTime(clock, expiresAtMs, () => discard(socket));
  const cancel = () => timer.cancel();
  socket.once('close', cancel);
  return cancel;
}

/** How long what runs on a connection may go on whose other end is trusted no longer. */
export const DISTRUST_GRACE_MS = 5_000;

/** New requests go elsewhere at once, because whoever keeps connections renews them with each change of trust. */
function endWhenDistrusted(mesh: MeshTls, socket: TLSSocket, peer: VerifiedPeer): void {
  mesh.onDistrust(socket, peer, () => {
    const timer = mesh.clock.schedule(DISTRUST_GRACE_MS, () => discard(socket));
    socket.once('close', () => timer.cancel());
  });
}

function discard(socket: Duplex): void {
  // What happens to a socket that nobody wants any more is nobody's error.
  socket.on('error', () => {});
  socket.destroy();
}

function closedEarly(resource: string): MeshError {
  return new MeshError('INMESH_UPSTREAM_CONNECT', 'the peer closed the connection during the TLS handshake', {
    resource,
    hint: 'Look for its reason in the log of the peer: it may not trust the certificate of this workload',
  });
}

function timedOut(resource: string, timeoutMs: number | undefined): MeshError {
  return new MeshError('INMESH_UPSTREAM_CONNECT', `no secure connection within ${timeoutMs} ms`, {
    resource,
    hint: 'Check that the peer is reachable, or raise connectTimeout in its DestinationRule',
  });
}
