import type { TLSSocket } from 'node:tls';
import { closeAtExpiry } from '../../identity/connect.js';
import type { MeshTls } from '../../identity/tls-options.js';

/** Who is at the other end of a connection, as its certificate or a token proved. */
export interface CallerIdentity {
  readonly spiffeId: string;
  /** DER of the leaf; undefined when it was a token. */
  readonly certificate?: Uint8Array | undefined;
  /** Calendar time at which calls by a token end; undefined = with the connection. */
  readonly expiresAtMs?: number | undefined;
}

/** A gRPC call, as far as it tells who calls. */
export interface IncomingCall {
  readonly metadata: object;
  getPeer(): string;
}

/** The caller of a call; undefined = nobody vouches for it, which only processes of this machine may be. */
export type CallerOf = (call: IncomingCall) => CallerIdentity | undefined;

/** The callers of live TLS connections, by the address that gRPC reports for them, and those of calls with a token. */
export class CallerTable {
  readonly #callers = new Map<string, CallerIdentity>();
  /** gRPC hands the metadata that the interceptor passed on to the handler: it stands for the call. */
  readonly #calls = new WeakMap<object, CallerIdentity>();

  /**
   * Verifies the peer of a fresh connection; one without a certificate is nobody. Throws for one that does not hold. The
   * connection ends when the certificate expires, or no longer holds by new roots or revocations: who has lost an identity
   * hears nothing more.
   */
  admit(socket: TLSSocket, tls: MeshTls): void {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return;
    const peer = tls.verify(socket);
    const { id, notAfterMs } = peer;
    const key = peerKey(socket);
    const caller = { spiffeId: id.toString(), certificate: certificate.raw };
    this.#callers.set(key, caller);
    closeAtExpiry(socket, notAfterMs, tls.clock);
    // Looked at again only when trust changes, and in turns: a thousand clients are not verified at once.
    tls.onDistrust(socket, peer, () => socket.destroy());
    socket.once('close', () => {
      if (this.#callers.get(key) === caller) this.#callers.delete(key);
    });
  }

  /** The caller behind a peer as `call.getPeer()` gives it. */
  find(peer: string): CallerIdentity | undefined {
    return this.#callers.get(peer);
  }

  /** A token of this call told who calls. */
  recognise(metadata: object, caller: CallerIdentity): void {
    this.#calls.set(metadata, caller);
  }

  /** The caller of a call: by its connection, or by its own token. */
  readonly of: CallerOf = (call) => this.#callers.get(call.getPeer()) ?? this.#calls.get(call.metadata);
}

function peerKey({ remoteAddress, remotePort }: TLSSocket): string {
  return `${remoteAddress}:${remotePort}`;
}
