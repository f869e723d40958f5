import type { TLSSocket } from 'node:tls';
import type { MeshTls } from '../../identity/tls-options.js';

/** Who is at the other end of a connection, as its certificate proved. */
export interface CallerIdentity {
  readonly spiffeId: string;
  /** DER of the leaf. */
  readonly certificate: Uint8Array;
}

/** The callers of live TLS connections, by the address that gRPC reports for them. */
export class CallerTable {
  readonly #callers = new Map<string, CallerIdentity>();

  /** Verifies the peer of a fresh connection; one without a certificate is nobody. Throws for one that does not hold. */
  admit(socket: TLSSocket, tls: MeshTls): void {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return;
    const { id } = tls.verify(socket);
    const key = peerKey(socket);
    this.#callers.set(key, { spiffeId: id.toString(), certificate: certificate.raw });
    socket.once('close', () => this.#callers.delete(key));
  }

  /** The caller behind a peer as `call.getPeer()` gives it. */
  find(peer: string): CallerIdentity | undefined {
    return this.#callers.get(peer);
  }
}

function peerKey({ remoteAddress, remotePort }: TLSSocket): string {
  return `${remoteAddress}:${remotePort}`;
}
