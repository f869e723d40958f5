import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Authorizer } from '../../identity/authorizer.js';
import type { IdentitySource } from '../../identity/source.js';
import type { MeshTls } from '../../identity/tls-options.js';
import { MeshError } from '../../runtime/errors.js';
import type { InboundPeer } from './connection.js';
import { uriSansOf } from './connection-info.js';

/**
 * Finds out who is at the other end of a finished handshake, and how long that holds.
 * @throws MeshError when it is not a workload that we trust.
 */
export function verifyInboundPeer(
  socket: TLSSocket,
  { tls, identity }: { readonly tls: MeshTls; readonly identity: IdentitySource },
  authorizer?: Authorizer,
): Omit<InboundPeer, 'isGoodFor'> {
  const own = identity.svid();
  const leaf = socket.getPeerX509Certificate();
  if (own === undefined || leaf === undefined) {
    throw new MeshError('INMESH_IDENTITY_UNAVAILABLE', 'one side of the connection has no certificate');
  }
  if (socket.isSessionReused()) {
    // A resumed session skips every check of the certificate, its expiry included.
    throw new MeshError('INMESH_PEER_IDENTITY', 'the client resumed a TLS session, which is never allowed');
  }
  const peer = tls.verify(socket, authorizer);
  const shown = socket.getX509Certificate();
  return {
    spiffeId: peer.id.toString(),
    onDistrust: (lost) => tls.onDistrust(socket, peer, lost),
    expiresAtMs: Math.min(peer.notAfterMs, ownExpiryMs(shown, own.notAfterMs)),
    // SPIFFE IDs hold no character that this header would have to quote.
    forwardedClientCert: `${byOf(shown)}Hash=${hashOf(leaf)};Subject="";URI=${peer.id}`,
  };
}

/** Envoy: `By` is the URI in the certificate that was shown; one that comes by SDS need not have any. */
export function byOf(shown: X509Certificate | undefined): string {
  const uri = shown && uriSansOf(shown)[0];
  // What could end the element, or begin another, is left out.
  return uri === undefined || /[",;=\s]/.test(uri) ? '' : `By=${uri};`;
}

/** The fingerprint of a certificate, as the header has it. */
export function hashOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** The handshake may have used the certificate before the newest: ask the connection. */
function ownExpiryMs(shown: X509Certificate | undefined, newestMs: number): number {
  const text = shown?.validTo;
  const used = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(used) ? newestMs : used;
}
