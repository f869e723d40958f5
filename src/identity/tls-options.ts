import { constants } from 'node:crypto';
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import type { Authorizer } from './authorizer.js';
import { PeerVerifier } from './peer-verifier.js';
import type { IdentitySource } from './source.js';
import { TrustWatch } from './trust-watch.js';
import type { VerifiedPeer } from './verify.js';

/** More than {@link verifyPeer} accepts, so that it is the one to refuse a longer chain. */
const MAX_CHAIN = 17;
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** How the TLS of the mesh judges certificates. */
export interface MeshTlsOptions {
  /** Certificates are judged by its calendar. */
  readonly clock: Clock;
  /** Further trust domains whose workloads may connect; the own one always may. */
  readonly trustDomains?: readonly string[];
}

/** How a server of the mesh accepts connections. */
export interface MeshServerOptions {
  readonly alpn?: readonly string[] | undefined;
  /** False lets clients without a certificate in; a certificate that is presented must hold all the same. Default true. */
  readonly requireClientCertificate?: boolean | undefined;
}

/**
 * TLS of the mesh for one identity: TLS 1.3 only, no tickets and no resumption (Node does not look at dates or
 * identities again on a resumed session), one SecureContext per generation of certificate and roots.
 */
export interface MeshTls {
  /** Grows each time the certificate or the roots change. */
  readonly generation: number;
  /** The context of the current generation, shared by all connections: it halves the cost of a handshake. */
  clientContext(): SecureContext;
  /** Options for `tls.createServer` of the current generation; keep it current with {@link attach}. */
  serverOptions(options?: MeshServerOptions): TlsOptions;
  /** Keeps the certificate and roots of a server current until unsubscribed. */
  attach(server: Server): Unsubscribe;
  /** Verifies who is at the other end of a finished handshake, from the bytes it presented. */
  verify(socket: TLSSocket, authorizer?: Authorizer): VerifiedPeer;
  /**
   * Calls `lost` once when the other end of a live connection, verified before, is trusted no longer: its authority left
   * the bundle, or it was revoked. Ends by itself when the socket closes.
   */
  onDistrust(socket: TLSSocket, peer: VerifiedPeer, lost: () => void): Unsubscribe;
  /** When this workload's own certificate expires. */
  notAfterMs(): number;
  /** Calls `listener` after each change of generation. */
  onUpdate(listener: () => void): Unsubscribe;
  readonly clock: Clock;
  /** Stops following the source. */
  close(): void;
}

/** Makes TLS options that follow an identity source. */
export function createMeshTls(source: IdentitySource, options: MeshTlsOptions): MeshTls {
  let generation = 0;
  let context: SecureContext | undefined;
  const listeners = new Set<() => void>();
  const unsubscribe = source.onUpdate(() => {
    generation++;
    context = undefined;
    for (const listener of Array.from(listeners)) listener();
    // After them: who makes new connections has turned to those before the ones that are not trusted end.
    watch.recheck();
  });
  const material = () =>
    materialOf(source, [...(options.trustDomains ?? []), ...(source.federated?.() ?? [])]);
  const onUpdate = (listener: () => void): Unsubscribe => {
    const entry = () => listener();
    listeners.add(entry);
    return () => void listeners.delete(entry);
  };
  const trusted = new Set(options.trustDomains);
  const bundleOf = (trustDomain: string) =>
    trusted.has(trustDomain) ||
    trustDomain === source.svid()?.id.trustDomain ||
    source.federated?.().includes(trustDomain) === true
      ? source.bundle(trustDomain)
      : undefined;
  const verifier = new PeerVerifier(bundleOf);
  const verify: MeshTls['verify'] = (socket, authorizer) =>
    verifier.verify(peerChain(socket), { nowMs: options.clock.wallTime(), authorizer });
  const watch = new TrustWatch({ bundleOf, verify: (socket) => verify(socket), clock: options.clock });
  return {
    get generation() {
      return generation;
    },
    clock: options.clock,
    clientContext() {
      refuseExpired(source.svid()?.notAfterMs, options.clock);
      context ??= createSecureContext(material());
      return context;
    },
    serverOptions: ({ alpn, requireClientCertificate = true } = {}) => ({
      ...material(),
      requestCert: true,
      rejectUnauthorized: requireClientCertificate,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ...(alpn === undefined || alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    }),
    attach(server) {
      return onUpdate(() => {
        // Without an SVID or roots the server keeps what it has; `verify` refuses peers by the current roots all the same.
        const svid = source.svid();
        if (svid === undefined || bundleOf(svid.id.trustDomain)?.authorities.length === 0) return;
        server.setSecureContext(material());
      });
    },
    verify,
    onDistrust: (socket, { id }, lost) => watch.add(socket, id.trustDomain, lost),
    notAfterMs: () => source.svid()?.notAfterMs ?? 0,
    onUpdate,
    close() {
      unsubscribe();
      watch.close();
      listeners.clear();
    },
  };
}

function materialOf(source: IdentitySource, trustDomains: readonly string[]): SecureContextOptions {
  const svid = source.svid();
  if (svid === undefined) throw unavailable('this workload has no certificate yet');
  const names = new Set([svid.id.trustDomain, ...trustDomains]);
  const ca = [...names].flatMap((name) => source.bundle(name)?.authorities ?? []);
  // Without `ca` Node would trust the public authorities of the web.
  if (ca.length === 0)
    throw unavailable(`there is no root certificate of trust domain ${svid.id.trustDomain}`);
  return {
    cert: svid.certificatesPem.join(''),
    key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ca,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** The peer would refuse it without saying why. */
function refuseExpired(notAfterMs: number | undefined, clock: Clock): void {
  if (notAfterMs === undefined || clock.wallTime() <= notAfterMs) return;
  throw new MeshError('INMESH_CERTIFICATE_EXPIRED', 'the certificate of this workload has expired', {
    hint: 'Check that the control plane runs: the certificate is renewed as soon as it answers',
  });
}

/** The DER certificates that the other end presented, leaf first. */
export function peerChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length < MAX_CHAIN) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

function unavailable(what: string): MeshError {
  return new MeshError('INMESH_IDENTITY_UNAVAILABLE', what, {
    hint: 'Check that the control plane runs and that its certificate authority answers (inmesh dev prints its address)',
  });
}
