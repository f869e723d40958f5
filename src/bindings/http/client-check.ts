import type { TLSSocket, TlsOptions } from 'node:tls';
import type { IdentitySource } from '../../identity/source.js';
import type { SpiffeId } from '../../identity/spiffe-id.js';
import type { MeshTls } from '../../identity/tls-options.js';
import type { PeerNamePredicate } from '../../mesh/peer-names.js';
import type { DownstreamTls } from '../../model/tls.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { InboundPeer } from './connection.js';
import { certificateInfo } from './connection-info.js';
import { byOf, hashOf, verifyInboundPeer } from './inbound-peer.js';

/** What clients are verified with. */
export interface ClientCheckTools {
  readonly tls: MeshTls;
  readonly identity: IdentitySource;
  /** Names of which a client has to prove one; none = any will do. */
  readonly names: readonly PeerNamePredicate[];
}

/** What a TLS server asks of its clients. */
export function demandsOf({
  requireClientCertificate,
  clients,
  minVersion = 'TLSv1.2',
  maxVersion = 'TLSv1.3',
  ciphers,
}: DownstreamTls): TlsOptions {
  if (requireClientCertificate && (clients === undefined || clients.roots === 'mesh')) return {};
  return {
    requestCert: requireClientCertificate || clients !== undefined,
    rejectUnauthorized: requireClientCertificate,
    // Envoy's default for servers; whoever is no member of the mesh may be of any age.
    minVersion,
    maxVersion,
    ...(ciphers !== undefined && { ciphers: ciphers.join(':') }),
  };
}

/**
 * Finds out who is at the other end of a finished handshake.
 * @throws MeshError when it proved nothing and should have, or something that does not hold.
 */
export function verifyClient(socket: TLSSocket, tls: DownstreamTls, tools: ClientCheckTools): InboundPeer {
  const isAsked = tls.requireClientCertificate || tls.clients !== undefined;
  if (!isAsked || (socket.getPeerX509Certificate() === undefined && !tls.requireClientCertificate))
    return anonymous(socket);
  const { names } = tools;
  const key = keyOf(tls);
  const isGoodFor = (other: DownstreamTls) => keyOf(other) === key;
  if (isOfMesh(tls)) {
    const authorizer = names.length === 0 ? undefined : (id: SpiffeId) => proves(names, [id.toString()]);
    return { ...verifyInboundPeer(socket, tools, authorizer), isGoodFor };
  }
  return { ...verifyForeign(socket, names), isGoodFor };
}

/** TLS that says who the server is, and nothing about the client. */
function anonymous(socket: TLSSocket): InboundPeer {
  refuseResumed(socket);
  return {
    spiffeId: undefined,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    forwardedClientCert: undefined,
    onDistrust: () => () => {},
    isGoodFor: ({ requireClientCertificate }) => !requireClientCertificate,
  };
}

/** A certificate of others than the mesh, which OpenSSL has verified by their roots. */
function verifyForeign(
  socket: TLSSocket,
  names: readonly PeerNamePredicate[],
): Omit<InboundPeer, 'isGoodFor'> {
  refuseResumed(socket);
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined || !socket.authorized) {
    const why: unknown = socket.authorizationError;
    throw new MeshError(
      'INMESH_PEER_IDENTITY',
      `the certificate of a client does not hold: ${messageOf(why)}`,
    );
  }
  const { dnsSans, uriSans, notAfterMs } = certificateInfo(leaf);
  if (names.length > 0 && !proves(names, dnsSans)) {
    throw new MeshError('INMESH_PEER_IDENTITY', 'a client proved none of the names that are asked for');
  }
  const [uri = ''] = uriSans.filter(isPlain);
  return {
    // The mesh does not vouch for it, whatever it calls itself.
    spiffeId: undefined,
    expiresAtMs: notAfterMs,
    forwardedClientCert: `${byOf(socket.getX509Certificate())}Hash=${hashOf(leaf)};Subject="";URI=${uri}`,
    onDistrust: () => () => {},
  };
}

function proves(names: readonly PeerNamePredicate[], shown: readonly string[]): boolean {
  return shown.some((name) => names.some((test) => test(name)));
}

function refuseResumed(socket: TLSSocket): void {
  if (!socket.isSessionReused()) return;
  throw new MeshError('INMESH_PEER_IDENTITY', 'the client resumed a TLS session, which is never allowed');
}

function isOfMesh({ requireClientCertificate, clients }: DownstreamTls): boolean {
  return clients === undefined ? requireClientCertificate : clients.roots === 'mesh';
}

/** Equal for TLS that verifies a certificate in the same way. */
function keyOf(tls: DownstreamTls): string {
  const { clients } = tls;
  const isPlainMesh = isOfMesh(tls) && (clients?.subjectAltNames.length ?? 0) === 0;
  return isPlainMesh ? 'mesh' : JSON.stringify(clients ?? null);
}

/** What could end the element of the header, or begin another, is left out. */
function isPlain(uri: string): boolean {
  return !/[",;=\s]/.test(uri);
}
