import { isIP, connect as netConnect, type Socket } from 'node:net';
import { type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { SecretLookup } from '../../cluster/secret-table.js';
import type { TransportOptions } from '../../cluster/transport.js';
import { authorizeUris } from '../../identity/authorizer.js';
import { connectMeshTls } from '../../identity/connect.js';
import type { MeshTls } from '../../identity/tls-options.js';
import { peerNamePredicates } from '../../mesh/peer-names.js';
import type { SocketAddress } from '../../model/address.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { ProxyProtocolVersion, UpstreamTls } from '../../model/tls.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import { ConnectTimeout } from './connect-timeout.js';
import { alternateFamilies, dialFirst } from './happy-eyeballs.js';
import { proxyHeader } from './proxy-header.js';
import { type CurrentTls, TlsSettings } from './tls-settings.js';

/** A connection that stands. */
export interface Dialed {
  readonly socket: Socket;
  /** What TLS negotiated; undefined when it negotiated nothing, or there is no TLS. */
  readonly alpn: string | undefined;
  /** Who proved to be at the other end of mutual TLS. */
  readonly peerId: string | undefined;
  /** Calendar time when the first of both certificates expires. */
  readonly expiresAtMs: number;
}

export type DialCallback = (error: Error | null, dialed?: Dialed) => void;

/** Names of ALPN for what a connection is to speak. */
export type Wanted = readonly ('h2' | 'http/1.1')[];

/**
 * Opens one connection. The callback runs once; until then the returned function gives up, after which the callback
 * does not run.
 */
export type Dial = (wanted: Wanted, callback: DialCallback) => Unsubscribe;

/** How connections to an endpoint are opened: plaintext, TLS with the platform's roots, or mutual TLS of the mesh. */
export function createDial(
  endpoint: Endpoint,
  options: TransportOptions,
  mesh: MeshTls,
  secrets?: SecretLookup,
): Dial {
  const { tls, connectTimeoutMs } = options;
  const targets = addressesOf(endpoint).map((address) => targetOf(address, options));
  const target = targetOf(endpoint.address, options);
  const within: Within = { timeoutMs: connectTimeoutMs, mesh, target, secrets };
  const { proxyProtocol } = options;
  const plain = plainDial(targets, within);
  const carry = proxyProtocol === undefined ? plain : announced(plain, proxyProtocol);
  if (tls === undefined) return carry;
  const secure = tls.mode === 'mesh' ? meshDial(endpoint, tls, within) : tlsDial(endpoint, tls, within);
  if (proxyProtocol === undefined && targets.length === 1)
    return (wanted, callback) => secure(within.target, wanted, callback);
  return (wanted, callback) => {
    let cancel = carry(wanted, (error, dialed) => {
      if (dialed === undefined) callback(error);
      else cancel = secure({ socket: dialed.socket }, wanted, callback);
    });
    return () => cancel();
  };
}

/** Without TLS; of several addresses the first that takes the connection. */
function plainDial(targets: readonly Target[], within: Within): Dial {
  const dials = targets.map(
    (target): Dial =>
      (_wanted, callback) =>
        settleOn(netConnect(target), 'connect', { ...within, target }, callback),
  );
  const [only] = dials;
  if (only !== undefined && dials.length === 1) return only;
  const { mesh, timeoutMs, target } = within;
  return dialFirst(dials, mesh.clock, {
    ms: timeoutMs,
    error: () => new ConnectTimeout(textOf(target), timeoutMs),
  });
}

function addressesOf({ address, additionalAddresses = [] }: Endpoint): readonly SocketAddress[] {
  return additionalAddresses.length === 0 ? [address] : alternateFamilies([address, ...additionalAddresses]);
}

/** A connection that begins with a PROXY protocol header. */
function announced(plain: Dial, version: ProxyProtocolVersion): Dial {
  return (wanted, callback) =>
    plain(wanted, (error, dialed) => {
      dialed?.socket.write(proxyHeader(version, dialed.socket));
      callback(error, dialed);
    });
}

/** Makes a connection secure: one that is to be made, or one that stands. */
type Secure = (on: Target | Standing, wanted: Wanted, callback: DialCallback) => Unsubscribe;

/** TLS that is not the mesh's. */
function tlsDial(endpoint: Endpoint, tls: UpstreamTls, within: Within): Secure {
  const settings = new TlsSettings(tls, within.secrets);
  const servername = sniOf(endpoint, tls) ?? endpoint.hostname;
  return (on, wanted, callback) => {
    let current: CurrentTls;
    let secureContext: SecureContext;
    try {
      current = settings.current();
      secureContext = current.material.context();
    } catch (error) {
      return failSoon(error, callback);
    }
    const socket = tlsConnect({
      ...on,
      secureContext,
      // Node refuses an address there, as RFC 6066 §3 does.
      ...(servername !== '' && isIP(servername) === 0 && { servername }),
      ALPNProtocols: offeredTo(tls, wanted),
      rejectUnauthorized: current.tls.roots !== 'none',
      // No session is offered: Node does not look at the certificate again when one is resumed.
      checkServerIdentity: (asked, certificate) => current.verify(servername || asked, certificate),
    });
    return settleOn(socket, 'secureConnect', within, callback);
  };
}

/** What TLS offers: the configuration's own names that fit what is wanted, and always what is wanted (Envoy: fallback). */
function offeredTo(tls: UpstreamTls, wanted: Wanted): string[] {
  const own = tls.alpn.filter((name) => !isOtherHttp(name, wanted));
  return [...new Set([...own, ...wanted])];
}

function isOtherHttp(name: string, wanted: Wanted): boolean {
  // Istio has names of its own for both.
  const spoken = name.replace(/^istio-/, '');
  if (spoken === 'h2') return !wanted.includes('h2');
  return spoken.startsWith('http/1.') && !wanted.includes('http/1.1');
}

/** gRFC A101: the endpoint's own name, where it has one and that is asked for. */
function sniOf({ hostname }: Endpoint, { autoHostSni, sni }: UpstreamTls): string | undefined {
  return autoHostSni === true && hostname !== '' ? hostname : sni;
}

/** Tells of what failed before anything was begun, and not from within the call. */
function failSoon(error: unknown, callback: DialCallback): Unsubscribe {
  let isWanted = true;
  queueMicrotask(() => isWanted && callback(error instanceof Error ? error : new Error(String(error))));
  return () => {
    isWanted = false;
  };
}

function meshDial(endpoint: Endpoint, tls: UpstreamTls, { mesh, timeoutMs }: Within): Secure {
  const authorizer = authorizeUris(peerNamePredicates(tls));
  const sni = sniOf(endpoint, tls);
  return (on, wanted, callback) => {
    // A server that lets other TLS through to its application knows clients of the mesh by Istio's name.
    const alpn = [...new Set([...offeredTo(tls, wanted), MESH_ALPN])];
    return connectMeshTls(mesh, { ...on, sni, alpn, authorizer, timeoutMs }, (error, made) => {
      if (made === undefined) callback(error ?? new Error('no connection'));
      else {
        const { socket, peer, expiresAtMs } = made;
        callback(null, { socket, alpn: alpnOf(socket), peerId: peer.id.toString(), expiresAtMs });
      }
    });
  };
}

/** What every client of a mesh offers besides what it speaks (Istio). */
const MESH_ALPN = 'istio';

/** How long a connection may be silent before TCP probes it. */
const TCP_KEEPALIVE_MS = 60_000;

/** What Node connects to. */
type Target =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly localAddress?: string };

interface Standing {
  readonly socket: Socket;
}

interface Within {
  readonly timeoutMs: number;
  readonly mesh: MeshTls;
  readonly target: Target;
  readonly secrets: SecretLookup | undefined;
}

function targetOf({ address, port }: SocketAddress, { sourceAddress }: TransportOptions): Target {
  if (address.startsWith('/')) return { path: address };
  // Linux: a name that is no file begins with a zero byte.
  if (address.startsWith('@')) return { path: `\0${address.slice(1)}` };
  return { host: address, port, ...(sourceAddress !== undefined && { localAddress: sourceAddress }) };
}

function textOf(target: Target): string {
  return 'path' in target ? target.path : `${target.host}:${target.port}`;
}

function settleOn(
  socket: Socket | TLSSocket,
  event: 'connect' | 'secureConnect',
  { timeoutMs, mesh, target }: Within,
  callback: DialCallback,
): Unsubscribe {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
  const timer = mesh.clock.schedule(timeoutMs, () => fail(new ConnectTimeout(textOf(target), timeoutMs)));
  const stop = () => {
    timer.cancel();
    socket.off(event, onReady);
    socket.off('error', fail);
    socket.off('close', onClose);
  };
  const giveUp = () => {
    stop();
    // What happens to a socket that nobody wants any more is nobody's error.
    socket.on('error', ignore);
    socket.destroy();
  };
  const fail = (error: Error) => {
    giveUp();
    callback(error);
  };
  const onReady = () => {
    stop();
    callback(null, {
      socket,
      alpn: 'alpnProtocol' in socket ? alpnOf(socket) : undefined,
      peerId: undefined,
      expiresAtMs: Number.POSITIVE_INFINITY,
    });
  };
  const onClose = () => fail(new Error(`${textOf(target)} closed the connection before it stood`));
  socket.once(event, onReady);
  socket.once('error', fail);
  socket.once('close', onClose);
  let isPending = true;
  socket.once(event, () => {
    isPending = false;
  });
  return () => {
    if (isPending) giveUp();
  };
}

function alpnOf({ alpnProtocol }: TLSSocket): string | undefined {
  return typeof alpnProtocol === 'string' ? alpnProtocol : undefined;
}

function ignore(): void {}
