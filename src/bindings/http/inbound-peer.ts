import type { TLSSocket } from 'node:tls';
import type { IdentitySource } from '../../identity/source.js';
import type { MeshTls } from '../../identity/tls-options.js';
import { MeshError } from '../../runtime/errors.js';
import type { InboundPeer } from './connection.js';

/**
 * Finds out who is at the other end of a finished handshake, and how long that holds.
 * @throws MeshError when it is not a workload that we trust.
 */
export function verifyInboundPeer(socket: TLSSocket, tls: MeshTls, identity: IdentitySource): InboundPeer {
  const own = identity.svid();
  const leaf = socket.getPeerX509Certificate();
  if (own === undefined || leaf === undefined) {
    throw new MeshError('INMESH_IDENTITY_UNAVAILABLE', 'one side of the connection has no certificate');
  }
  if (socket.isSessionReused()) {
    // A resumed session skips every check of the certificate, its expiry included.
    throw new MeshError('INMESH_PEER_IDENTITY', 'the client resumed a TLS session, which is never allowed');
  }
  const peer = tls.verify(socket);
  const hash = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
  return {
    spiffeId: peer.id.toString(),
    onDistrust: (lost) => tls.onDistrust(socket, peer, lost),
    expiresAtMs: Math.min(peer.notAfterMs, ownExpiryMs(socket, own.notAfterMs)),
    // SPIFFE IDs hold no character that this header would have to quote.
    forwardedClientCert: `By=${own.id};Hash=${hash};Subject="";URI=${peer.id}`,
  };
}

/** The handshake may have used the certificate before the newest: ask the connection. */
function ownExpiryMs(socket: TLSSocket, newestMs: number): number {
  const text = socket.getX509Certificate()?.validTo;
  const used = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(used) ? newestMs : used;
}
