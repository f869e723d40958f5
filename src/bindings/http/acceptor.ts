import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer, TLSSocket, type Server as TlsServer } from 'node:tls';
import type { SecretLookup } from '../../cluster/secret-table.js';
import type { IdentitySource } from '../../identity/source.js';
import type { MeshTls } from '../../identity/tls-options.js';
import type { InboundPolicy } from '../../mesh/inbound.js';
import type { PlaintextCallers, PlaintextSocket } from '../../mesh/plaintext-callers.js';
import type { DownstreamTls } from '../../model/tls.js';
import type { Clock } from '../../runtime/clock.js';
import { codeOf, MeshError, messageOf } from '../../runtime/errors.js';
import { awaitHello } from './await-hello.js';
import { demandsOf, verifyClient } from './client-check.js';
import { carrierOf, type InboundPeer } from './connection.js';
import { chainFor, sameConnection } from './connection-chain.js';
import { HandshakeLimit, type HandshakeLimits } from './handshake-limit.js';
import { HTTP2_ALPN } from './http2/http2-front.js';
import type { Refusal, Refusals } from './refusals.js';
import { ServedMaterial } from './served-material.js';
import { ignore, peek, type SniffOptions, type SniffResult, sniff } from './sniff.js';

/** ALPN names that a mesh's clients offer, best first; Istio's own prefix marks connections between proxies. */
const ALPN: readonly string[] = [...HTTP2_ALPN, 'http/1.1', 'istio-http/1.1', 'istio'];

/** What meshed clients offer for bytes of any kind. */
const RAW_ALPN = 'istio';

export interface AcceptorOptions {
  readonly policy: () => InboundPolicy;
  readonly tls: MeshTls;
  readonly identity: IdentitySource;
  /** Where certificates come from that chains name (SDS). */
  readonly secrets?: SecretLookup | undefined;
  readonly sniffTimeoutMs: number;
  readonly clock: Clock;
  readonly refusals: Refusals;
  /** How many handshakes of an address may come to nothing. */
  readonly handshakes?: HandshakeLimits | undefined;
  /** Takes note of connections without TLS; undefined = nobody does. */
  readonly callers?: PlaintextCallers | undefined;
  /** Takes a connection that is allowed; `peer` is set when it is TLS. */
  readonly accepted: (socket: Duplex, peer: InboundPeer | undefined) => void;
  /** Takes one whose client speaks HTTP/2. */
  readonly acceptedHttp2: (socket: Duplex, peer: InboundPeer | undefined) => void;
  /** Hears that a connection is gone, whatever became of it. */
  readonly ended?: () => void;
  /** Whether the server speaks any protocol, and may speak first. */
  readonly isRaw?: boolean;
  /** Whether it speaks HTTP/2 and nothing else. */
  readonly isHttp2?: boolean;
}

/** A TLS server, and what it shows and trusts where that is not the workload's identity and the mesh alone. */
interface TlsFront {
  readonly server: TlsServer;
  readonly material: ServedMaterial | undefined;
}

const MUTUAL: DownstreamTls = { requireClientCertificate: true, alpn: [] };

/**
 * Takes raw connections, finds out what they are, and passes on those that the policy allows: plaintext as it came,
 * TLS after a full handshake with a peer that was verified here as its chain says, by its SPIFFE identity most of all.
 *
 * The handshake is a real `tls.Server`'s, which does not listen: a TLSSocket made by hand would accept a client
 * certificate of any CA.
 */
export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #handshakes: HandshakeLimit;
  readonly #sniffResult: SniffResult;
  /** Connections before the first byte or in their handshake. */
  readonly #pending = new Set<Duplex>();
  /**
   * By the ALPN names that they choose from and their certificates; the ALPN names of chains that tell connections by nothing
   * more are asked for at each handshake.
   */
  readonly #servers = new Map<string, TlsFront>();
  #refuses = false;
  #closed = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#handshakes = new HandshakeLimit(options.clock, options.handshakes);
    this.#sniffResult = {
      tls: (socket) => this.#handshake(socket),
      plaintext: (socket) => this.#plaintext(socket, options.accepted),
      http2: (socket) => this.#plaintext(socket, options.acceptedHttp2),
      silent: (socket) => this.#silent(socket),
    };
  }

  accept(socket: Duplex): void {
    if (this.#refuses) {
      socket.destroy();
      return;
    }
    this.#pending.add(socket);
    socket.once('close', () => {
      this.#pending.delete(socket);
      this.#options.ended?.();
    });
    if (this.#options.isRaw !== true) sniff(socket, this.#sniffOptions(), this.#sniffResult);
    // A server that speaks first need not be kept from it where there is nothing to find out.
    else if (isPlaintextOnly(this.#options.policy())) this.#plaintext(socket, this.#options.accepted);
    else peek(socket, this.#sniffOptions(), this.#sniffResult);
  }

  #sniffOptions(): SniffOptions {
    const { clock, sniffTimeoutMs, policy } = this.#options;
    return { clock, timeoutMs: policy().inspection?.timeoutMs ?? sniffTimeoutMs };
  }

  #silent(socket: Duplex): void {
    const { policy, isRaw, accepted } = this.#options;
    const { plaintext, inspection } = policy();
    // Nobody said that the server has to be asked something at once.
    const goesOn = isPlaintextOnly(policy()) || (isRaw && plaintext !== undefined);
    if (inspection?.continuesOnTimeout ?? goesOn) {
      this.#plaintext(socket, accepted);
      return;
    }
    const what = `no byte came within ${this.#sniffOptions().timeoutMs} ms`;
    this.#refuse('silent', socket, new MeshError('INMESH_TIMEOUT', what));
  }

  /** Uses the newest certificate and roots for connections from now on. */
  rotate(): void {
    try {
      for (const { server, material } of this.#servers.values()) {
        if (material === undefined) server.setSecureContext(this.#options.tls.serverOptions());
        else material.reset();
      }
    } catch {
      // The identity is gone or unusable: the next handshake says so, and is refused.
      this.#servers.clear();
    }
  }

  /** How many connections have not become one yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Drops connections that have not become one yet: they carry no request. */
  dropPending(): void {
    for (const socket of this.#pending) socket.destroy();
  }

  /** The same, but those that are there now have some time to become one. */
  dropPendingIn(delayMs: number): void {
    const sockets = [...this.#pending];
    if (sockets.length === 0) return;
    this.#options.clock.schedule(delayMs, () => {
      for (const socket of sockets) if (this.#pending.has(socket)) socket.destroy();
    });
  }

  /** Takes no new connections; those that are there go on. */
  refuse(): void {
    this.#refuses = true;
  }

  close(): void {
    this.refuse();
    this.#closed = true;
    this.dropPending();
    this.#pending.clear();
  }

  #plaintext(socket: Duplex, accepted: AcceptorOptions['accepted']): void {
    this.#pending.delete(socket);
    const policy = this.#options.policy();
    const isAllowed = chainFor(policy, socket, undefined) !== undefined;
    // What is accepted is a socket of node:net, or looks like one.
    this.#options.callers?.seen(socket as PlaintextSocket, !isAllowed);
    if (isAllowed) {
      accepted(socket, undefined);
      return;
    }
    if (policy.plaintext !== undefined) {
      this.#refuse('plaintext', socket, noChain(socket));
      return;
    }
    const error = new MeshError(
      'INMESH_PLAINTEXT_REFUSED',
      `plaintext from ${remoteOf(socket)} was refused`,
      {
        hint: refusalHint(policy),
      },
    );
    this.#refuse('plaintext', socket, error);
  }

  #handshake(socket: Duplex): void {
    const policy = this.#options.policy();
    if (policy.tls === undefined) {
      const error = new MeshError('INMESH_PEER_IDENTITY', `TLS from ${remoteOf(socket)} was refused`, {
        hint: refusalHint(policy),
      });
      this.#refuse('tls', socket, error);
      return;
    }
    if (policy.choose === undefined) {
      if (policy.tls.passesTls === true) this.#pass(socket);
      else this.#secure(socket, undefined);
      return;
    }
    awaitHello(socket, this.#sniffOptions(), {
      said: (hello) => {
        const chain = chainFor(this.#options.policy(), socket, hello);
        if (chain?.tls !== undefined) this.#secure(socket, chain.tls);
        else if (chain?.passesTls === true) this.#pass(socket);
        else this.#refuse('tls', socket, noChain(socket));
      },
      failed: (what) => this.#refuse('handshake', socket, new MeshError('INMESH_PEER_IDENTITY', what)),
    });
  }

  /** TLS that is the application's: for the mesh it is a connection like any without its TLS. */
  #pass(socket: Duplex): void {
    this.#pending.delete(socket);
    // What is accepted is a socket of node:net, or looks like one.
    this.#options.callers?.seen(socket as PlaintextSocket, false);
    this.#options.accepted(socket, undefined);
  }

  #secure(socket: Duplex, tls: DownstreamTls | undefined): void {
    if (!this.#handshakes.begin(addressOf(socket))) {
      this.#refuse('rate', socket, tooMany(socket));
      return;
    }
    let server: TlsServer;
    try {
      server = this.#tlsServer(tls?.alpn, tls ?? this.#options.policy().tls?.tls ?? MUTUAL);
    } catch (error) {
      this.#refuse('identity', socket, asMeshError(error));
      return;
    }
    // Errors reach the TLS socket; the socket below must not end the process with its own.
    socket.on('error', ignore);
    server.emit('connection', socket);
  }

  /** The server for chains with these ALPN names (undefined = those of the policy's one chain, whatever they are then). */
  #tlsServer(alpn: readonly string[] | undefined, tls: DownstreamTls): TlsServer {
    const { requireClientCertificate, certificate, certificateSecret, clients } = tls;
    const { minVersion, maxVersion, ciphers } = tls;
    const own = certificate ?? certificateSecret;
    const params = [minVersion, maxVersion, ciphers];
    const key = JSON.stringify([alpn, requireClientCertificate, own, clients, params]);
    let front = this.#servers.get(key);
    if (front === undefined) {
      const isUsual = requireClientCertificate && own === undefined && clients === undefined;
      const material = isUsual ? undefined : new ServedMaterial(tls, this.#options.secrets);
      front = { server: this.#createServer(alpn, tls, material), material };
      this.#servers.set(key, front);
    }
    front.material?.show(front.server, () => ({ ...this.#options.tls.serverOptions(), ...demandsOf(tls) }));
    return front.server;
  }

  #createServer(
    alpn: readonly string[] | undefined,
    downstream: DownstreamTls,
    material: ServedMaterial | undefined,
  ): TlsServer {
    const { tls, policy } = this.#options;
    const server = createServer({
      ...tls.serverOptions(),
      ...demandsOf(downstream),
      // Node (CVE-2026-21637): what is thrown in here would end the process.
      ALPNCallback: ({ protocols }) => {
        try {
          return this.#chooseProtocol(protocols, alpn ?? policy().tls?.tls?.alpn ?? []);
        } catch {
          return undefined;
        }
      },
    });
    server.on('secureConnection', (socket) => this.#secured(socket, downstream, material));
    server.on('tlsClientError', (error, socket) => this.#handshakeFailed(error, socket));
    return server;
  }

  /** A client that offers nothing we speak is refused by TLS itself (RFC 7301 §3.2). */
  #chooseProtocol(offered: readonly string[], configured: readonly string[]): string | undefined {
    if (this.#options.isRaw === true) {
      // What is inside is the application's affair: whatever a client offers will do.
      return [...configured, RAW_ALPN].find((name) => offered.includes(name)) ?? offered[0];
    }
    const spoken = this.#options.isHttp2 === true ? HTTP2_ALPN : ALPN;
    const allowed = configured.length === 0 ? spoken : spoken.filter((name) => configured.includes(name));
    return allowed.find((name) => offered.includes(name));
  }

  #secured(socket: TLSSocket, downstream: DownstreamTls, material: ServedMaterial | undefined): void {
    const carrier = carrierOf(socket);
    this.#pending.delete(carrier);
    if (this.#closed || this.#options.policy().tls === undefined) {
      socket.destroy();
      return;
    }
    sameConnection(socket, carrier);
    let peer: InboundPeer;
    try {
      const { tls, identity } = this.#options;
      peer = verifyClient(socket, downstream, { tls, identity, names: material?.names ?? [] });
    } catch (error) {
      socket.on('error', ignore);
      this.#refuse('peer', socket, asMeshError(error));
      return;
    }
    this.#handshakes.succeeded(socket.remoteAddress);
    const { accepted, acceptedHttp2 } = this.#options;
    const isHttp2 = typeof socket.alpnProtocol === 'string' && HTTP2_ALPN.includes(socket.alpnProtocol);
    if (isHttp2) acceptedHttp2(socket, peer);
    else if (this.#options.isHttp2 !== true) accepted(socket, peer);
    else this.#refuse('handshake', socket, noHttp2());
  }

  #handshakeFailed(cause: Error, socket: TLSSocket): void {
    const detail = codeOf(cause) ?? messageOf(cause);
    const error = new MeshError('INMESH_PEER_IDENTITY', `the TLS handshake of a client failed: ${detail}`, {
      cause,
      hint: 'The client needs TLS 1.3 and a valid certificate of a trusted certificate authority',
    });
    this.#refuse('handshake', socket, error);
  }

  #refuse(reason: Refusal, socket: Duplex, error: MeshError): void {
    this.#options.refusals.add(reason, remoteOf(socket), error);
    reset(socket);
  }
}

function addressOf(socket: Duplex & { readonly remoteAddress?: string }): string | undefined {
  return socket.remoteAddress;
}

function tooMany(socket: Duplex): MeshError {
  const what = `too many TLS handshakes of ${addressOf(socket) ?? 'one address'} came to nothing`;
  return new MeshError('INMESH_PEER_IDENTITY', what, {
    hint: 'Look for what was refused before; its clients need valid certificates of a trusted certificate authority',
  });
}

function isPlaintextOnly({ tls, plaintext }: InboundPolicy): boolean {
  return tls === undefined && plaintext !== undefined;
}

function refusalHint(policy: InboundPolicy): string {
  switch (policy.mode) {
    case 'strict':
      return 'Let the client join the mesh, or set PeerAuthentication to PERMISSIVE for this workload';
    case 'closed':
      return 'This server has no configuration yet: check that the control plane can be reached';
    default:
      return 'Set PeerAuthentication to PERMISSIVE or STRICT for this workload';
  }
}

/** gRPC over HTTP/2 asks for ALPN; a client that offers none would speak anything. */
function noHttp2(): MeshError {
  return new MeshError('INMESH_PEER_IDENTITY', 'the client did not offer HTTP/2 (ALPN h2)');
}

/** Envoy's `filter_chain_not_found`. */
function noChain(socket: Duplex): MeshError {
  return new MeshError('INMESH_NO_ROUTE', `no filter chain takes the connection from ${remoteOf(socket)}`, {
    hint: 'Let a filter chain of the listener match it, or give the listener a default filter chain',
  });
}

function asMeshError(error: unknown): MeshError {
  if (MeshError.is(error)) return error;
  return new MeshError('INMESH_PEER_IDENTITY', 'the certificate of the peer could not be verified', {
    cause: error,
  });
}

function remoteOf(socket: Duplex & { remoteAddress?: string; remotePort?: number }): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return 'unknown';
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

/** As Istio does: a reset, so that the client does not wait for an answer. Only a bare TCP socket can send one. */
function reset(socket: Duplex): void {
  socket.on('error', ignore);
  if (!(socket instanceof Socket) || socket instanceof TLSSocket || socket.destroyed) {
    socket.destroy();
    return;
  }
  try {
    socket.resetAndDestroy();
  } catch {
    // Not TCP (a Unix socket).
    socket.destroy();
  }
}
